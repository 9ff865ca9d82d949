/* Which datagrams leave together: those of one path and one size in one UDP_SEGMENT send, the last of which
 * may be shorter. Datagrams of one stream stay in order. Pure. */
#ifndef CIDLB_IO_GSO_H
#define CIDLB_IO_GSO_H

#include <stddef.h>
#include <stdint.h>

#include "io/io.h"

enum {
	GSO_OCTETS = 65000, /* of one group: less than any UDP payload may have */
	GSO_ASK = 508,      /* octets that every IPv4 path takes whole (RFC 791: 576, with the longest header) */
};

/* One group: one send. */
struct gso_send {
	uint8_t at, count; /* its members: order[at] .. order[at + count - 1] */
	uint16_t segment;  /* octets, for UDP_SEGMENT; 0: one datagram as ever */
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

/* `pending`: indices in `sends`, in the order in which they were queued, at most IO_OUTBOX. One that is alone and
 * longer than GSO_ASK has its own length as `segment`: so the kernel says if it is too large for the path. */
void gso_group(struct gso *out, const struct io_send *sends, const uint8_t *pending, size_t count);

#endif
