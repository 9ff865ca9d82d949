/* Groups of datagrams as the messages that sendmmsg() takes. Pure. */
#ifndef CIDLB_IO_MESSAGES_H
#define CIDLB_IO_MESSAGES_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "io/gso.h"
#include "io/io.h"

enum { MESSAGES_CONTROL = 160 /* octets of control messages per message: all of them in IPv6 take 136 */ };

/* One message for each group. Valid as long as the datagrams are, and until the next call. */
struct messages {
	struct mmsghdr headers[IO_OUTBOX];
	struct iovec vectors[2 * IO_OUTBOX];
	struct sockaddr_storage to[IO_OUTBOX];
	_Alignas(struct cmsghdr) uint8_t control[IO_OUTBOX][MESSAGES_CONTROL];
};

void messages_write(struct messages *out, const struct io_send *sends, const struct gso *groups);

#endif
