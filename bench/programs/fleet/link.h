/* A device's socket behind a NAT that forgets: closed when it does, and opened by the next datagram from another port,
 * and from any of the device's addresses. */
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

/* Sends, from a new port if forgotten; link->port tells. `data` NULL: all but the sending, as the datagram is lost
 * behind the NAT. 0 or -errno. */
int link_send(struct link *link, const uint8_t *data, size_t len, uint64_t now_ms);

/* Harmless if forgotten. */
void link_forget(struct link *link);

#endif
