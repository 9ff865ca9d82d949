#include "health/probe_port.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <event2/util.h>

#include "base/sockaddr.h"
#include "health/encap.h"

enum {
	ANSWER_OCTETS = 4096,
	/* Numbers come one after the other, so that none comes again soon: a server may still have a session with it.
	   Devices on this host send from other ones (ip_local_port_range). */
	FIRST_NUMBER = 1024,
	LAST_NUMBER = 32767,
};

/* Reads one datagram or one ICMP error per call. The loop comes back while there are more. */
static ssize_t receive(struct probe *probe, int fd, uint8_t data[static ANSWER_OCTETS])
{
	ssize_t n = recv(fd, data, ANSWER_OCTETS, MSG_DONTWAIT);

	if (n < 0 && probe->asking && errno != EAGAIN && errno != EINTR)
		probe->kind->failed(probe, -errno);
	return n;
}

static void on_readable(evutil_socket_t fd, short events, void *ctx)
{
	struct probe_port *port = ctx;
	uint8_t data[ANSWER_OCTETS];
	ssize_t n = receive(port->probe, fd, data);

	(void)events;
	if (n < 0)
		return;
	probe_hear(port->probe);
	port->probe->kind->received(port->probe, port, data, (size_t)n);
}

static struct addr inner_source(const struct probe_port *port)
{
	struct addr source = port->probe->spec.tunnel.local;

	source.port = port->number;
	return source;
}

static struct probe_port *find_port(const struct probe *probe, const struct addr *destination)
{
	for (struct probe_port *port = probe->tunnel.ports; port; port = port->next) {
		struct addr source = inner_source(port);
		if (addr_equal(&source, destination))
			return port;
	}
	return NULL;
}

static void on_tunnel_readable(evutil_socket_t fd, short events, void *ctx)
{
	struct probe *probe = ctx;
	uint8_t data[ANSWER_OCTETS];
	ssize_t n = receive(probe, fd, data);
	struct probe_port *port;
	struct proxy2_ends ends;
	size_t head_len;

	(void)events;
	if (n < 0 ||
	    proxy2_read(&ends, &head_len, &probe->spec.tunnel.keys, PROXY2_DOWN, data, (size_t)n) != PROXY2_GOOD ||
	    !addr_equal(&ends.source, &probe->spec.tunnel.service))
		return;
	port = find_port(probe, &ends.destination);
	probe->tunnel.version = ends.version;
	if (port)
		probe->kind->received(probe, port, data + head_len, (size_t)n - head_len);
}

static void close_socket(struct probe_socket *socket)
{
	event_del(&socket->readable);
	close(socket->fd);
}

/* Every socket that shares an address has to say so. The kernel tells them apart by whom they are connected to. */
static int bind_shared(int fd, const struct addr *local)
{
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_write(&sa, local);
	int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
			       bind(fd, (struct sockaddr *)&sa, len) == 0
		       ? 0
		       : -errno;
}

static int join_in_tunnel(const struct probe *probe, int fd)
{
	const int err = bind_shared(fd, &probe->spec.tunnel.local);

	return err ? err : probe_connect(probe, fd);
}

/* `join` binds it, if it is to have a certain address, and connects it. Returns 0 or -errno. */
static int open_socket(struct probe_socket *socket, struct probe *probe, int (*join)(const struct probe *probe, int fd),
		       event_callback_fn readable, void *ctx)
{
	int fd = probe_socket(probe, SOCK_DGRAM), err;

	if (fd < 0)
		return fd;
	socket->fd = fd;
	event_assign(&socket->readable, probe->base, fd, EV_READ | EV_PERSIST, readable, ctx);
	err = join(probe, fd);
	if (!err && event_add(&socket->readable, NULL) != 0)
		err = -ENOMEM;
	if (err)
		close_socket(socket);
	return err;
}

static uint16_t next_number(uint16_t last)
{
	uint16_t random;

	if (last != 0)
		return last < LAST_NUMBER ? (uint16_t)(last + 1) : FIRST_NUMBER;
	evutil_secure_rng_get_bytes(&random, sizeof random);
	return (uint16_t)(FIRST_NUMBER + random % (LAST_NUMBER - FIRST_NUMBER + 1));
}

static int open_in_tunnel(struct probe_port *port, struct probe *probe)
{
	struct probe_tunnel *tunnel = &probe->tunnel;
	int err = 0;

	if (!tunnel->ports)
		err = open_socket(&tunnel->socket, probe, join_in_tunnel, on_tunnel_readable, probe);
	if (err)
		return err;
	port->number = tunnel->last = next_number(tunnel->last);
	port->next = tunnel->ports;
	tunnel->ports = port;
	return 0;
}

static int open_in_encap(struct probe_port *port, struct probe *probe)
{
	int err = open_socket(&port->socket, probe, encap_join, on_readable, port);

	if (err)
		return err;
	err = encap_add(port, probe);
	if (err)
		close_socket(&port->socket);
	return err;
}

int probe_port_open(struct probe_port *port, struct probe *probe)
{
	int err;

	probe_port_close(port);
	if (probe->way == PROBE_ENCAP)
		err = open_in_encap(port, probe);
	else if (probe_is_tunnelled(probe))
		err = open_in_tunnel(port, probe);
	else
		err = open_socket(&port->socket, probe, probe_connect, on_readable, port);
	if (!err)
		port->probe = probe;
	return err;
}

static void close_in_tunnel(struct probe_port *port)
{
	struct probe_tunnel *tunnel = &port->probe->tunnel;
	struct probe_port **at = &tunnel->ports;

	while (*at != port)
		at = &(*at)->next;
	*at = port->next;
	if (!tunnel->ports)
		close_socket(&tunnel->socket);
}

void probe_port_close(struct probe_port *port)
{
	if (!port->probe)
		return;
	if (probe_is_tunnelled(port->probe)) {
		close_in_tunnel(port);
	} else {
		encap_remove(port);
		close_socket(&port->socket);
	}
	port->probe = NULL;
}

int probe_port_send(const struct probe_port *port, const uint8_t *data, size_t len)
{
	const struct probe *probe = port->probe;
	uint8_t head[PROXY2_MAX_OCTETS];
	struct iovec parts[] = { { .iov_base = head }, { .iov_base = (void *)data, .iov_len = len } };
	const struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	int fd;

	if (!probe)
		return -ENOTCONN;
	if (probe->way == PROBE_ENCAP)
		return encap_send(port, data, len);
	fd = port->socket.fd;
	if (probe_is_tunnelled(probe)) {
		/* Always readable, so that health does not depend on what the server reads. */
		const struct proxy2_ends ends = { .source = inner_source(port),
						  .destination = probe->spec.tunnel.service,
						  .version = PROXY2_V1_OFFER };
		parts[0].iov_len = proxy2_write(head, &probe->spec.tunnel.keys, PROXY2_UP, &ends);
		fd = probe->tunnel.socket.fd;
	}
	return sendmsg(fd, &message, 0) >= 0 || sendmsg(fd, &message, 0) >= 0 ? 0 : -errno;
}
