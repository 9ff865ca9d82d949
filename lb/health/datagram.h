/* What the probes without credentials share, `dtls` and `coap`: one datagram as the question, and any answer of its
 * kind. Control thread. */
#ifndef CIDLB_HEALTH_DATAGRAM_H
#define CIDLB_HEALTH_DATAGRAM_H

#include <stddef.h>

#include "health/probe_port.h"

/* What the struct of each of these kinds begins with. */
struct datagram {
	struct probe probe;
	struct probe_port port;
	size_t noise_octets; /* of the last thing received that was no answer; 0: nothing */
};

/* Makes the port ready for a question. One that is open stays: a server that makes a session per port then makes one,
 * and not one per probe. Returns 0 or -errno. */
int datagram_prepare(struct datagram *datagram);

/* The question was sent, or failed with `err`, an -errno. */
void datagram_sent(struct datagram *datagram, int err);

/* Something of `len` octets came. `life`: what it shows, in words; NULL: it is no answer. */
void datagram_received(struct datagram *datagram, const char *life, size_t len);

/* Time is up. `protocol`: what an answer would have been. */
void datagram_give_up(struct datagram *datagram, const char *protocol);

/* Of struct probe_kind. */
int datagram_open(struct probe *probe);
void datagram_close(struct probe *probe);

#endif
