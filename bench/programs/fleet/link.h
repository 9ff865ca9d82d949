/* A device's socket behind a NAT that forgets. It is closed when the NAT forgets. The next datagram opens another one,
 * with another port and any of the device's addresses. */
#ifndef CIDLB_BENCH_FLEET_LINK_H
#define CIDLB_BENCH_FLEET_LINK_H

#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "bench/lib/dice.h"
#include "common/addr.h"

struct link {
	int fd;        /* -1: forgotten */
	uint16_t port; /* of fd, or of the last one; 0: there was none */
	uint64_t opened_ms, uplink_ms;
	struct addr target;
	struct addr from;   /* the first of its addresses, without a port; the wildcard: whatever the route says */
	uint64_t addresses; /* so many in a row; >= 1 */
	struct dice dice;
	struct event_base *base;
	event_callback_fn on_readable;
	void *ctx;
	struct event readable; /* assigned and pending only while fd >= 0 */
};

/* Sends a datagram, from a new port if the NAT has forgotten. link->port tells which. `data` NULL: does everything but
 * send, since the datagram is lost behind the NAT. Returns 0 or -errno. */
int link_send(struct link *link, const uint8_t *data, size_t len, uint64_t now_ms);

/* Sends what link_send() left out. It is lost if the NAT has forgotten meanwhile. */
void link_pass(struct link *link, const uint8_t *data, size_t len);

/* Does nothing if it is forgotten already. */
void link_forget(struct link *link);

#endif
