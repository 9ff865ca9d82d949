#include "io/socket_priv.h"

#include <errno.h>

int socket_send(struct io *io, int fd, const struct io_send *sends, const struct gso *groups, size_t first)
{
	struct messages *out = &((struct socket_io *)io)->out;
	int sent;

	if (first == 0)
		messages_write(out, sends, groups);
	sent = sendmmsg(fd, out->headers + first, (unsigned)(groups->count - first), MSG_DONTWAIT);
	return sent < 0 ? -errno : sent;
}
