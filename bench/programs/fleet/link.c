#include "bench/programs/fleet/link.h"

#include <errno.h>
#include <unistd.h>

#include "bench/lib/udp.h"

/* Any of its addresses. */
static struct addr link_place(struct link *link)
{
	struct addr at = link->from;
	uint64_t carry = link->addresses > 1 ? dice_roll(&link->dice) % link->addresses : 0;
	for (size_t i = sizeof at.ip; carry && i > 0; i--) {
		carry += at.ip[i - 1];
		at.ip[i - 1] = carry & 0xff;
		carry >>= 8;
	}
	return at;
}

static int link_open(struct link *link, uint64_t now_ms)
{
	uint16_t port;
	struct addr at = link_place(link);
	int fd = udp_connect(&link->target, addr_is_wildcard(&at) ? NULL : &at, link->port, &port);
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

void link_pass(struct link *link, const uint8_t *data, size_t len)
{
	if (link->fd >= 0)
		udp_send(link->fd, NULL, data, len);
}

void link_forget(struct link *link)
{
	if (link->fd < 0)
		return;
	event_del(&link->readable);
	close(link->fd);
	link->fd = -1;
}
