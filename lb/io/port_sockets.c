#include "io/port_sockets.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/socket.h"

struct port_sockets {
	unsigned users;
	uint64_t serial;
	struct addr address;
	uint16_t first, last;
	struct port_set open;
	_Atomic int fds[]; /* from `first`; -1: not open */
};

static size_t port_sockets_count(const struct port_sockets *ports)
{
	return (size_t)(ports->last - ports->first) + 1;
}

struct port_sockets *port_sockets_new(const struct addr *address, uint16_t first, uint16_t last)
{
	static uint64_t made;
	struct port_sockets *ports = malloc(sizeof *ports + ((size_t)(last - first) + 1) * sizeof ports->fds[0]);

	if (!ports)
		return NULL;
	ports->users = 1;
	ports->open = (struct port_set){ 0 };
	ports->serial = ++made;
	ports->address = *address;
	ports->address.port = 0;
	ports->first = first;
	ports->last = last;
	for (size_t i = 0; i < port_sockets_count(ports); i++)
		atomic_init(&ports->fds[i], -1);
	return ports;
}

uint64_t port_sockets_serial(const struct port_sockets *ports)
{
	return ports->serial;
}

bool port_sockets_are_of(const struct port_sockets *ports, const struct addr *address, uint16_t first, uint16_t last)
{
	return memcmp(ports->address.ip, address->ip, sizeof address->ip) == 0 && ports->first == first &&
	       ports->last == last;
}

struct port_sockets *port_sockets_share(struct port_sockets *ports)
{
	ports->users++;
	return ports;
}

void port_sockets_drop(struct port_sockets *ports)
{
	if (!ports || --ports->users > 0)
		return;
	for (size_t i = 0; i < port_sockets_count(ports); i++)
		if (ports->fds[i] >= 0)
			close(ports->fds[i]);
	free(ports);
}

const struct port_set *port_sockets_open(const struct port_sockets *ports)
{
	return &ports->open;
}

int port_sockets_get(const struct port_sockets *ports, uint16_t port)
{
	if (port < ports->first || port > ports->last)
		return -1;
	return atomic_load_explicit(&ports->fds[port - ports->first], memory_order_acquire);
}

int port_sockets_bind(const struct port_sockets *ports, uint16_t port)
{
	struct addr address = ports->address;

	address.port = port;
	return socket_bind(&address, SOCKET_ENDPOINT, SOCKET_ALONE);
}

bool port_sockets_have(const struct port_sockets *ports, const struct addr *addr)
{
	return memcmp(ports->address.ip, addr->ip, sizeof addr->ip) == 0 && addr->port >= ports->first &&
	       addr->port <= ports->last;
}

void port_sockets_visit(const struct port_sockets *ports, void (*visit)(void *ctx, int fd), void *ctx)
{
	for (size_t i = 0; i < port_sockets_count(ports); i++)
		if (ports->fds[i] >= 0)
			visit(ctx, ports->fds[i]);
}

int port_sockets_keep(struct port_sockets *ports, uint16_t port, int fd)
{
	int there = -1;

	if (atomic_compare_exchange_strong(&ports->fds[port - ports->first], &there, fd)) {
		port_set_add(&ports->open, port);
		return fd;
	}
	close(fd);
	return there;
}
