/* Ports of probes that go to the service address, in the encapsulation of mode dsr. Each is a socket that is bound to
 * an address of this host and connected to the service address. It never sends, because that address is this host's
 * own. What it would send leaves as a packet through a socket of bare.h.
 *
 * In IPv6 answers come to it. In IPv4 the kernel takes them for martians, so they are received for all probes together
 * (answers.h). The port is taken all the same, so that no other program gets it. Control thread. */
#ifndef CIDLB_HEALTH_ENCAP_H
#define CIDLB_HEALTH_ENCAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "health/probe.h"

/* What the probes share. */
struct encap {
	int answers; /* answers.h; a loan; -1: there is none */
	bool shown;  /* it lets something in, or did since encap_rest() */
	struct event readable;
	struct probe_port *ports; /* that are open, in IPv4 */
	size_t count;
};

void encap_init(struct encap *encap);

/* Returns 0 or -errno: then it has no such descriptor. */
int encap_lend(struct encap *encap, struct event_base *base, int answers);

/* Nothing is expected any more, until the next port is open. What receives costs nothing then. */
void encap_rest(struct encap *encap);

/* All ports are closed. */
void encap_end(struct encap *encap);

/* Whether there is such a way to the probe's target. */
bool encap_is_possible(const struct probe *probe);

/* Binds and connects `fd`, a UDP socket. Returns 0 or -errno. */
int encap_join(const struct probe *probe, int fd);

/* The port's socket is open. From now on the port is told what comes. Returns 0 or -errno; -ENOBUFS: there are too many
 * ports. */
int encap_add(struct probe_port *port, struct probe *probe);

/* The port is to be closed. One of another way stays as it is. */
void encap_remove(struct probe_port *port);

/* Returns 0 or -errno. */
int encap_send(const struct probe_port *port, const uint8_t *data, size_t len);

#endif
