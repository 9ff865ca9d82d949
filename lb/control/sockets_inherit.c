/* Sockets that a cidlb before has left, with what waits in them. A group that is larger than there are workers stays as
 * large: the kernel goes on delivering to each of its members, so the workers read the surplus ones as well. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "control/sockets_priv.h"
#include "io/socket.h"

void sockets_inherit(struct sockets *sockets, enum slot_kind kind, int fd)
{
	struct inherited *more =
		realloc(sockets->inherited, (sockets->inherited_count + 1) * sizeof *sockets->inherited);
	struct inherited left = { .kind = kind, .fd = fd };
	int err = more ? socket_name(fd, &left.addr) : -ENOMEM;

	if (more)
		sockets->inherited = more;
	if (!err) {
		sockets->inherited[sockets->inherited_count++] = left;
		return;
	}
	log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "inherited", NULL, NULL,
				       LOG_FIELDS(LOG_TEXT("what", slot_kind_name(kind)),
						  LOG_TEXT("error", strerror(-err))) },
		   "a %s of the cidlb before is of no use: %s", slot_kind_name(kind), strerror(-err));
	close(fd);
}

/* A tunnel's sockets are at a row of ports, whose end depends on how many workers there were. */
static bool is_of(const struct inherited *inherited, const struct slot *slot)
{
	const struct addr *addr = &inherited->addr;

	if (inherited->kind != slot->kind || memcmp(addr->ip, slot->addr.ip, sizeof addr->ip) != 0)
		return false;
	return slot->kind == SLOT_TUNNEL ? addr->port >= slot->addr.port : addr->port == slot->addr.port;
}

static int take_at(struct sockets *sockets, size_t i)
{
	const int fd = sockets->inherited[i].fd;

	sockets->inherited[i] = sockets->inherited[--sockets->inherited_count];
	return fd;
}

/* -1: there is none. */
static int take(struct sockets *sockets, enum slot_kind kind, const struct addr *addr)
{
	for (size_t i = 0; i < sockets->inherited_count; i++)
		if (sockets->inherited[i].kind == kind && addr_equal(&sockets->inherited[i].addr, addr))
			return take_at(sockets, i);
	return -1;
}

/* Whoever keeps it for us has not closed it yet. Until then it stays bound, and must neither get anything nor stand in
 * the way of what is to be bound there now. */
static void give_up(struct sockets *sockets, int fd)
{
	socket_yield(fd, true);
	(void)socket_retire(fd);
	close(fd);
	sockets->gave_up = true;
}

void inherited_sort(struct sockets *sockets, const struct sockets_change *change)
{
	for (size_t i = sockets->inherited_count; i-- > 0;) {
		bool wanted = false;

		for (size_t j = 0; j < change->wanted_count && !wanted; j++)
			wanted = is_of(&sockets->inherited[i], &change->wanted[j]);
		if (!wanted)
			give_up(sockets, take_at(sockets, i));
	}
}

void inherited_drop(struct sockets *sockets)
{
	while (sockets->inherited_count > 0)
		close(take_at(sockets, sockets->inherited_count - 1));
	free(sockets->inherited);
	sockets->inherited = NULL;
	sockets->gave_up = false;
}

bool inherited_has(const struct sockets *sockets, const struct slot *slot)
{
	for (size_t i = 0; i < sockets->inherited_count; i++)
		if (is_of(&sockets->inherited[i], slot))
			return true;
	return false;
}

static enum socket_use use_of(enum slot_kind kind)
{
	static const enum socket_use uses[SLOT_KINDS] = {
		[SLOT_LISTENER] = SOCKET_LISTENER,
		[SLOT_ENDPOINT] = SOCKET_ENDPOINT,
		[SLOT_TUNNEL] = SOCKET_TUNNEL,
	};

	return uses[kind];
}

static int adopt(const struct opening *opening, int fd)
{
	socket_set_rcvbuf(fd, opening->rcvbuf_octets);
	return socket_adopt(fd, &opening->slot.addr, use_of(opening->slot.kind), opening->extras);
}

/* Binds the socket of worker `i` in addition to what was inherited. Those of another user let nobody of ours into their
 * group: then the first one serves this worker too, who only sends through it. *shared: so it is. */
static int open_more(const struct sockets *sockets, const struct opening *opening, const int *fds, unsigned i,
		     bool *shared)
{
	const bool group = opening->slot.kind != SLOT_TUNNEL;
	const int err = group ? socket_open_group(fds[0]) : 0;
	const int fd = err ? err : slot_bind(sockets, opening, i);

	*shared = group && fd == -EADDRINUSE;
	return *shared ? fcntl(fds[0], F_DUPFD_CLOEXEC, 0) : fd;
}

static int surplus_add(struct sockets *sockets, const struct opening *opening, int fd)
{
	const struct slot *slot = &opening->slot;
	const unsigned worker = (unsigned)(sockets->surplus_count % sockets->worker_count);
	struct surplus *more = realloc(sockets->surplus, (sockets->surplus_count + 1) * sizeof *sockets->surplus);
	enum worker_end end = slot->kind == SLOT_LISTENER ? WORKER_LISTENER : WORKER_POOL;
	int err = more ? adopt(opening, fd) : -ENOMEM;

	if (more)
		sockets->surplus = more;
	if (slot->kind == SLOT_ENDPOINT)
		end = slot->family == IO_V4 ? WORKER_ENDPOINT_V4 : WORKER_ENDPOINT_V6;
	if (!err)
		err = worker_add_surplus(sockets->workers[worker], end, slot->number, fd);
	if (err)
		close(fd);
	else
		sockets->surplus[sockets->surplus_count++] = (struct surplus){ *slot, worker, fd };
	return err;
}

/* True: the tunnel of another pool begins there. */
static bool is_of_another(const struct sockets_change *change, const struct slot *slot, const struct addr *addr)
{
	for (size_t i = 0; i < change->wanted_count; i++)
		if (!slot_equal(&change->wanted[i], slot) && change->wanted[i].kind == SLOT_TUNNEL &&
		    addr_equal(&change->wanted[i].addr, addr))
			return true;
	return false;
}

static int open_surplus(struct sockets *sockets, const struct sockets_change *change, const struct opening *opening)
{
	const bool tunnel = opening->slot.kind == SLOT_TUNNEL;
	struct addr addr = opening->slot.addr;
	int err = 0, fd;

	if (tunnel)
		addr.port = (uint16_t)(addr.port + sockets->worker_count);
	while (!err && !(tunnel && is_of_another(change, &opening->slot, &addr)) &&
	       (fd = take(sockets, opening->slot.kind, &addr)) >= 0) {
		err = surplus_add(sockets, opening, fd);
		addr.port = (uint16_t)(addr.port + tunnel);
	}
	return err;
}

int inherited_open(struct sockets *sockets, const struct sockets_change *change, const struct opening *opening,
		   int *fds, struct sockets_failure *failure)
{
	const bool tunnel = opening->slot.kind == SLOT_TUNNEL;
	struct addr addr = opening->slot.addr;
	int err = 0;

	for (unsigned i = 0; !err && i < sockets->worker_count; i++) {
		bool shared = false;

		addr.port = (uint16_t)(opening->slot.addr.port + (tunnel ? i : 0));
		fds[i] = take(sockets, opening->slot.kind, &addr);
		if (fds[i] < 0)
			fds[i] = open_more(sockets, opening, fds, i, &shared);
		err = fds[i] < 0 ? fds[i] : adopt(opening, fds[i]);
		if (!err && !shared) {
			err = worker_admit(sockets->workers[i], fds[i]);
			failure->unwatched = err != 0;
		}
	}
	return err ? err : open_surplus(sockets, change, opening);
}

int surplus_handle(const struct sockets *sockets, const struct slot *slot, unsigned at)
{
	for (size_t i = 0; i < sockets->surplus_count; i++)
		if (slot_equal(&sockets->surplus[i].slot, slot) && at-- == 0)
			return sockets->surplus[i].fd;
	return -1;
}

unsigned slot_size(const struct sockets *sockets, const struct slot *slot)
{
	unsigned size = sockets->worker_count;

	for (size_t i = 0; i < sockets->surplus_count; i++)
		size += slot_equal(&sockets->surplus[i].slot, slot);
	return size;
}

void surplus_take(struct sockets *sockets, struct sockets_change *change)
{
	for (size_t i = sockets->surplus_count; i-- > 0;) {
		const struct surplus surplus = sockets->surplus[i];
		bool wanted = false;

		for (size_t j = 0; j < change->wanted_count && !wanted; j++)
			wanted = slot_equal(&surplus.slot, &change->wanted[j]);
		if (wanted)
			continue;
		worker_take_surplus(sockets->workers[surplus.worker], surplus.fd);
		change->taken[change->taken_count++] = surplus.fd;
		sockets->surplus[i] = sockets->surplus[--sockets->surplus_count];
	}
}

void sockets_visit(const struct sockets *sockets,
		   void (*visit)(void *ctx, enum slot_kind kind, const struct addr *addr, int fd), void *ctx)
{
	for (size_t i = 0; i < sockets->count; i++) {
		const struct slot *slot = &sockets->slots[i];

		for (unsigned w = 0; w < slot_size(sockets, slot); w++) {
			const int fd = slot_handle(sockets, slot, w);
			struct addr addr;

			if (fd >= 0 && socket_name(fd, &addr) == 0)
				visit(ctx, slot->kind, &addr, fd);
		}
	}
}
