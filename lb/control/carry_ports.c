/* Sockets of single source addresses, whose ports are opened as flows need them. */
#include "control/carry.h"

#include <unistd.h>

#include "control/state.h"
#include "io/port_sockets.h"
#include "io/socket.h"

/* The sockets of a pool's family, unless those of a pool before it are the same. NULL: there are none. */
static struct port_sockets *ports_of(const struct table *table, size_t pool, enum io_family family)
{
	struct port_sockets *ports = table->pools[pool].ports[family];

	for (size_t i = 0; ports && i < pool; i++)
		if (table->pools[i].ports[family] == ports)
			return NULL;
	return ports;
}

void carry_ports_visit(struct control *control, void (*visit)(void *ctx, int fd), void *ctx)
{
	const struct table *table = publisher_read(&control->publisher);

	for (size_t i = 0; i < control->spec.pool_count; i++)
		for (enum io_family family = IO_V4; family < IO_FAMILIES; family++)
			if (ports_of(table, i, family))
				port_sockets_visit(ports_of(table, i, family), visit, ctx);
}

static struct port_sockets *ports_at(struct control *control, const struct addr *addr)
{
	const struct table *table = publisher_read(&control->publisher);
	const enum io_family family = addr_is_v4(addr) ? IO_V4 : IO_V6;

	for (size_t i = 0; i < control->spec.pool_count; i++)
		if (table->pools[i].ports[family] && port_sockets_have(table->pools[i].ports[family], addr))
			return table->pools[i].ports[family];
	return NULL;
}

bool carry_port_take(struct control *control, int fd)
{
	struct port_sockets *ports = NULL;
	struct addr addr;

	if (socket_name(fd, &addr) == 0 && socket_adopt(fd, &addr, SOCKET_ENDPOINT, 0) == 0)
		ports = ports_at(control, &addr);
	if (ports)
		return worker_keep_port(control->workers[addr.port % control->worker_count], ports, addr.port, fd) ==
		       fd;
	close(fd);
	return false;
}
