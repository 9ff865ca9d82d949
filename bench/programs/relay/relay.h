/* A NAT: each client address gets an upstream socket of its own, a mapping, which is forgotten as NATs forget.
 *
 * The socket of a forgotten mapping is closed, so what the target still sends there is lost. The client's next datagram
 * makes a new mapping with another port. One thread, libevent.
 */
#ifndef CIDLB_BENCH_RELAY_RELAY_H
#define CIDLB_BENCH_RELAY_RELAY_H

#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "common/addr.h"

struct relay;

struct relay_settings {
	struct addr listen, target;
	uint64_t timeout_ms; /* a mapping lives so long after the client's last datagram; 0: for ever */
	uint64_t rebind_ms;  /* and never longer than this; 0: for ever */
	double loss;         /* percent of the datagrams of each direction */
	uint64_t seed;
	size_t max; /* clients known at a time, with or without a mapping; >= 1 */
};

/* Datagrams. Of each that arrived: up + down = forwarded + lost + refused. */
struct relay_counters {
	uint64_t mappings; /* made */
	uint64_t rebinds;  /* made for a client that had one before */
	uint64_t up, down; /* arrived from clients, from the target */
	uint64_t forwarded;
	uint64_t lost;    /* by --loss */
	uint64_t refused; /* no mapping to be had, or not accepted by the kernel */
};

/* Returns 0 or -errno: it cannot bind, or there is no memory. */
int relay_new(struct relay **out, struct event_base *base, const struct relay_settings *settings);
void relay_free(struct relay *relay);

/* Forgets every mapping at once. */
void relay_forget_all(struct relay *relay);

const struct relay_counters *relay_counters(const struct relay *relay);

#endif
