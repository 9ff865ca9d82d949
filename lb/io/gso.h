/* Which datagrams leave together. Those of one path and one size leave in one UDP_SEGMENT send, and the last may be
 * shorter. Datagrams of one stream stay in order. Pure. */
#ifndef CIDLB_IO_GSO_H
#define CIDLB_IO_GSO_H

#include <stddef.h>
#include <stdint.h>

#include "io/io.h"

enum {
	GSO_OCTETS = 65000, /* octets of one group at most: less than the largest UDP payload */
	GSO_ASK = 508,      /* octets that every IPv4 path takes whole: 576 (RFC 791) less the longest headers */
};

/* One group, which is one send. */
struct gso_send {
	uint8_t at, count; /* its members: order[at] .. order[at + count - 1] */
	uint16_t segment;  /* octets, for UDP_SEGMENT; 0: an ordinary send of one datagram */
};

/* Groups of datagrams, in the order in which they leave. */
struct gso {
	size_t count;
	struct gso_send sends[IO_OUTBOX];
	uint8_t order[IO_OUTBOX]; /* indices in `sends` */
};

static inline size_t gso_octets(const struct io_send *send)
{
	return send->head_len + send->len;
}

/* Groups the datagrams whose indices in `sends` are in `pending`, in the order in which they were queued. There are at
 * most IO_OUTBOX. A group of one has its own length as `segment` if it is longer than GSO_ASK, has a path, and is not
 * known to be too large. Then the kernel says if it is. */
void gso_group(struct gso *out, const struct io_send *sends, const uint8_t *pending, size_t count);

#endif
