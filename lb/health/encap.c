#include "health/encap.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/sockaddr.h"
#include "io/answers.h"

enum { TTL = 64 };

void encap_init(struct encap *encap)
{
	*encap = (struct encap){ .answers = -1 };
}

bool encap_is_possible(const struct probe *probe)
{
	const struct addr *service = &probe->spec.encap.service;

	return service->port != 0 && probe->spec.how.port == 0 && probe->kind->received &&
	       (!addr_is_v4(service) || probe->encap->answers >= 0);
}

static struct probe_port *find_port(const struct encap *encap, const struct udp_packet *packet)
{
	struct probe_port *port = encap->ports;

	while (port &&
	       (!addr_equal(&port->local, &packet->to) || !addr_equal(&port->probe->spec.encap.service, &packet->from)))
		port = port->next;
	return port;
}

/* One datagram per call. The loop comes back while there are more. */
static void on_answer(evutil_socket_t fd, short events, void *ctx)
{
	const struct encap *encap = ctx;
	uint8_t buffer[ANSWERS_OCTETS];
	struct udp_packet packet;
	struct probe_port *port;
	uint32_t iface;

	(void)events;
	if (!answers_read(fd, buffer, &packet, &iface))
		return;
	port = find_port(encap, &packet);
	if (!port || (port->probe->spec.encap.iface != 0 && port->probe->spec.encap.iface != iface))
		return;
	probe_hear(port->probe);
	port->probe->kind->received(port->probe, port, packet.data, packet.len);
}

int encap_lend(struct encap *encap, struct event_base *base, int answers)
{
	event_assign(&encap->readable, base, answers, EV_READ | EV_PERSIST, on_answer, encap);
	if (event_add(&encap->readable, NULL) != 0)
		return -ENOMEM;
	encap->answers = answers;
	return 0;
}

void encap_rest(struct encap *encap)
{
	if (encap->shown)
		encap->shown = answers_show(encap->answers, NULL, 0) != 0;
}

void encap_end(struct encap *encap)
{
	encap_rest(encap);
	if (encap->answers >= 0)
		event_del(&encap->readable);
}

/* Lets in what is for the open ports. Those that were closed since the last time find nobody. */
static int show(struct encap *encap)
{
	struct answers_port ports[ANSWERS_PORTS];
	size_t count = 0;
	int err;

	for (const struct probe_port *port = encap->ports; port; port = port->next)
		ports[count++] = (struct answers_port){ .from = port->probe->spec.encap.service, .to = port->local };
	err = answers_show(encap->answers, ports, count);
	encap->shown |= !err;
	return err;
}

/* The address that its ports are at; the wildcard: there is no way to its target now. */
static struct addr source_of(const struct probe *probe)
{
	struct addr source = { .port = 0 };

	memcpy(source.ip, probe->spec.encap.from, sizeof source.ip);
	return source;
}

int encap_join(const struct probe *probe, int fd)
{
	const struct addr source = source_of(probe);
	struct sockaddr_storage from, to;
	const socklen_t from_len = sockaddr_write(&from, &source);
	const socklen_t to_len = sockaddr_write(&to, &probe->spec.encap.service);

	if (addr_is_wildcard(&source))
		return -EHOSTUNREACH;
	if (bind(fd, (struct sockaddr *)&from, from_len) < 0)
		return -errno;
	return connect(fd, (struct sockaddr *)&to, to_len) < 0 ? -errno : 0;
}

static int local_of(struct addr *out, int fd)
{
	struct sockaddr_storage local = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof local;

	if (getsockname(fd, (struct sockaddr *)&local, &len) < 0)
		return -errno;
	*out = sockaddr_read(&local);
	return 0;
}

static void unlink_port(struct encap *encap, struct probe_port *port)
{
	struct probe_port **at = &encap->ports;

	while (*at && *at != port)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = port->next;
	encap->count--;
}

int encap_add(struct probe_port *port, struct probe *probe)
{
	struct encap *encap = probe->encap;
	int err = local_of(&port->local, port->socket.fd);

	if (err || !addr_is_v4(&probe->spec.encap.service))
		return err;
	if (encap->count == ANSWERS_PORTS)
		return -ENOBUFS;
	port->probe = probe;
	port->next = encap->ports;
	encap->ports = port;
	encap->count++;
	err = show(encap);
	if (err) {
		unlink_port(encap, port);
		port->probe = NULL;
	}
	return err;
}

void encap_remove(struct probe_port *port)
{
	unlink_port(port->probe->encap, port);
}

static socklen_t next_hop(struct sockaddr_storage *out, const struct probe *probe)
{
	const struct io_link *link = &probe->spec.encap.link;
	struct addr to = probe->spec.addr;
	struct sockaddr_ll name = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(addr_is_v4(&to) ? ETH_P_IP : ETH_P_IPV6),
		.sll_ifindex = (int)link->iface,
		.sll_halen = sizeof link->mac,
	};

	to.port = 0; /* a packet has none */
	if (link->iface == 0)
		return sockaddr_write(out, &to);
	memcpy(name.sll_addr, link->mac, sizeof link->mac);
	memcpy(out, &name, sizeof name);
	return sizeof name;
}

int encap_send(const struct probe_port *port, const uint8_t *data, size_t len)
{
	const struct probe *probe = port->probe;
	const struct addr source = source_of(probe);
	const struct udp_packet packet = {
		.from = port->local, .to = probe->spec.encap.service, .ttl = TTL, .data = data, .len = len
	};
	struct udp_packet_part whole;
	struct sockaddr_storage to;
	struct iovec parts[] = { { .iov_base = whole.head }, { .iov_base = (void *)(uintptr_t)data, .iov_len = len } };
	const struct msghdr message = {
		.msg_name = &to, .msg_namelen = next_hop(&to, probe), .msg_iov = parts, .msg_iovlen = 2
	};
	int err = -EHOSTUNREACH;

	udp_packet_whole(&whole, &packet);
	parts[0].iov_len = whole.head_len;
	if (addr_is_wildcard(&source))
		return err;
	for (int i = 0; err && i < IO_TRIES; i++)
		err = sendmsg(probe->spec.encap.bare, &message, MSG_DONTWAIT) < 0 ? -errno : 0;
	return err;
}
