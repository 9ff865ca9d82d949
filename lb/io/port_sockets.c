#include "io/port_sockets.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/io.h"

struct ports {
	unsigned users;
	uint64_t serial;
	struct addr address;
	uint16_t first, last;
	_Atomic int fds[]; /* from `first`; -1: not open */
};

static size_t ports_count(const struct ports *ports)
{
	return (size_t)(ports->last - ports->first) + 1;
}

struct ports *ports_new(const struct addr *address, uint16_t first, uint16_t last)
{
	static uint64_t made;
	struct ports *ports = malloc(sizeof *ports + ((size_t)(last - first) + 1) * sizeof ports->fds[0]);

	if (!ports)
		return NULL;
	ports->users = 1;
	ports->serial = ++made;
	ports->address = *address;
	ports->address.port = 0;
	ports->first = first;
	ports->last = last;
	for (size_t i = 0; i < ports_count(ports); i++)
		atomic_init(&ports->fds[i], -1);
	return ports;
}

uint64_t ports_serial(const struct ports *ports)
{
	return ports->serial;
}

bool ports_are_of(const struct ports *ports, const struct addr *address, uint16_t first, uint16_t last)
{
	return memcmp(ports->address.ip, address->ip, sizeof address->ip) == 0 && ports->first == first &&
	       ports->last == last;
}

struct ports *ports_share(struct ports *ports)
{
	ports->users++;
	return ports;
}

void ports_drop(struct ports *ports)
{
	if (!ports || --ports->users > 0)
		return;
	for (size_t i = 0; i < ports_count(ports); i++)
		if (ports->fds[i] >= 0)
			close(ports->fds[i]);
	free(ports);
}

int ports_get(const struct ports *ports, uint16_t port)
{
	if (port < ports->first || port > ports->last)
		return -1;
	return atomic_load_explicit(&ports->fds[port - ports->first], memory_order_acquire);
}

int ports_bind(const struct ports *ports, uint16_t port)
{
	struct addr address = ports->address;

	address.port = port;
	return net_bind(&address, true, true);
}

int ports_keep(struct ports *ports, uint16_t port, int fd)
{
	int there = -1;

	if (atomic_compare_exchange_strong(&ports->fds[port - ports->first], &there, fd))
		return fd;
	close(fd);
	return there;
}
