#include "link.h"

#include <errno.h>
#include <unistd.h>

#include "udp.h"

static int link_open(struct link *link, uint64_t now_ms)
{
	uint16_t port;
	int fd = udp_connect(&link->target, link->port, &port);
	if (fd < 0)
		return fd;
	event_assign(&link->readable, link->base, fd, EV_READ | EV_PERSIST, link->on_readable, link->ctx);
	if (event_add(&link->readable, NULL)) {
		close(fd);
		return -ENOMEM;
	}
	link->fd = fd;
	link->port = port;
	link->opened_ms = now_ms;
	return 0;
}

int link_send(struct link *link, const uint8_t *data, size_t len, uint64_t now_ms)
{
	if (link->fd < 0) {
		int err = link_open(link, now_ms);
		if (err)
			return err;
	}
	link->uplink_ms = now_ms;
	return data ? udp_send(link->fd, NULL, data, len) : 0;
}

void link_forget(struct link *link)
{
	if (link->fd < 0)
		return;
	event_del(&link->readable);
	close(link->fd);
	link->fd = -1;
}
