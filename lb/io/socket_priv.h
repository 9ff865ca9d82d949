/* The struct io of sockets from inside: what socket*.c share. */
#ifndef CIDLB_IO_SOCKET_PRIV_H
#define CIDLB_IO_SOCKET_PRIV_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "io/icmp.h"
#include "io/io.h"
#include "io/messages.h"

struct socket_inbox {
	struct mmsghdr headers[IO_BATCH];
	struct iovec vectors[IO_BATCH];
	struct sockaddr_storage from[IO_BATCH];
	_Alignas(struct cmsghdr) uint8_t control[IO_BATCH][MESSAGES_CONTROL];
	struct io_datagram datagrams[IO_BATCH];
	uint8_t data[IO_BATCH][IO_DATAGRAM];
};

struct socket_io {
	struct io io; /* first */
	struct icmp_inbox *errors;
	struct messages out;
	struct socket_inbox in;
};

void socket_inbox_init(struct socket_inbox *inbox);

/* The functions of struct io_ops. */
size_t socket_receive(struct io *io, int fd, struct io_datagram **out, uint32_t *kernel_drops);
int socket_send(struct io *io, int fd, const struct io_send *sends, const struct gso *groups, size_t first);
size_t socket_errors(struct io *io, int fd, struct icmp_error **out, bool *more);

#endif
