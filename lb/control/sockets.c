#include "control/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/socket.h"

enum slot_kind { SLOT_LISTENER, SLOT_ENDPOINT, SLOT_TUNNEL };

/* One group of sockets. It is a listener (by its stable number, as an address has one), an endpoint port of one family,
 * or the tunnel of a pool. */
struct slot {
	enum slot_kind kind;
	uint16_t number;       /* listener, port, or pool */
	enum io_family family; /* SLOT_ENDPOINT */
	struct addr addr;
};

struct sockets {
	struct worker *const *workers;
	unsigned worker_count;
	struct slot *slots; /* what the workers have */
	size_t count;
};

struct sockets_change {
	struct slot *wanted; /* everything that the configuration asks for */
	size_t wanted_count;
	struct slot *opened;
	int *fds; /* worker_count per opened slot; -1: not open */
	size_t opened_count;
	/* Taken away from the workers, to be closed. There is room for all that they have, because nothing may fail by
	 * then. */
	int *taken;
	size_t taken_count;
	uint32_t rcvbuf_octets;
};

struct sockets *sockets_new(struct worker *const *workers, unsigned worker_count)
{
	struct sockets *sockets = calloc(1, sizeof *sockets);

	if (!sockets)
		return NULL;
	sockets->workers = workers;
	sockets->worker_count = worker_count;
	return sockets;
}

void sockets_free(struct sockets *sockets)
{
	if (!sockets)
		return;
	free(sockets->slots);
	free(sockets);
}

/* True if the workers keep both in one place, so that one replaces the other. */
static bool slot_same(const struct slot *a, const struct slot *b)
{
	return a->kind == b->kind && a->number == b->number && a->family == b->family;
}

static bool slot_equal(const struct slot *a, const struct slot *b)
{
	return slot_same(a, b) && (a->kind != SLOT_TUNNEL || addr_equal(&a->addr, &b->addr));
}

static bool slot_in(const struct slot *slot, const struct slot *slots, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (slot_equal(slot, &slots[i]))
			return true;
	return false;
}

static void wanted_add(struct sockets_change *change, const struct slot *slot)
{
	if (!slot_in(slot, change->wanted, change->wanted_count))
		change->wanted[change->wanted_count++] = *slot;
}

static void wanted_add_ports(struct sockets_change *change, const struct conf_nat *nat, enum io_family family)
{
	for (unsigned port = nat->port_first; port <= nat->port_last; port++) {
		struct slot slot = { .kind = SLOT_ENDPOINT, .number = (uint16_t)port, .family = family };

		slot.addr.port = (uint16_t)port;
		if (family == IO_V4)
			slot.addr.ip[10] = slot.addr.ip[11] = 0xff;
		wanted_add(change, &slot);
	}
}

static int wanted_fill(struct sockets_change *change, const struct sockets_of *of)
{
	const struct conf *conf = of->conf;
	size_t most = conf->listener_count + conf->pool_count;

	for (size_t i = 0; i < conf->pool_count; i++)
		most += conf->pools[i].nat.single ? 0 : IO_FAMILIES * conf_nat_ports(&conf->pools[i].nat);
	change->wanted = calloc(most, sizeof *change->wanted);
	if (!change->wanted)
		return -ENOMEM;
	for (size_t i = 0; i < conf->listener_count; i++)
		wanted_add(change, &(struct slot){ .kind = SLOT_LISTENER,
						   .number = of->listener_uids[i],
						   .addr = conf->listeners[i].addr });
	for (size_t i = 0; i < conf->pool_count; i++) {
		const struct conf_nat *nat = &conf->pools[i].nat;

		for (size_t j = 0; !nat->single && j < nat->source_count; j++)
			wanted_add_ports(change, nat, addr_is_v4(&nat->sources[j].addr) ? IO_V4 : IO_V6);
		if (conf->pools[i].forward == FORWARD_TUNNEL)
			wanted_add(change, &(struct slot){
						   .kind = SLOT_TUNNEL,
						   .number = of->spec->pools[i].uid,
						   .addr = conf->pools[i].tunnel.local,
					   });
	}
	return 0;
}

/* A further descriptor of the tunnel socket that has this address already, or -1. It belongs to a pool that has another
 * name now, or another range of ports. Until it is closed, nothing else can be bound there. */
static int tunnel_share(const struct sockets *sockets, const struct addr *addr)
{
	for (size_t i = 0; i < sockets->count; i++) {
		const struct slot *slot = &sockets->slots[i];
		const unsigned at = (unsigned)addr->port - slot->addr.port;

		if (slot->kind == SLOT_TUNNEL && at < sockets->worker_count &&
		    memcmp(slot->addr.ip, addr->ip, sizeof addr->ip) == 0)
			return fcntl(atomic_load(&sockets->workers[at]->path.pool_handles[slot->number]),
				     F_DUPFD_CLOEXEC, 0);
	}
	return -1;
}

/* Opens the socket of worker `i`. Returns a descriptor or -errno. */
static int slot_bind(const struct sockets *sockets, const struct slot *slot, unsigned i)
{
	const enum socket_use use = slot->kind == SLOT_ENDPOINT ? SOCKET_ENDPOINT : SOCKET_LISTENER;
	struct addr addr = slot->addr;
	int fd;

	if (slot->kind != SLOT_TUNNEL)
		return socket_bind(&addr, use, i == 0 ? SOCKET_FIRST : SOCKET_FURTHER);
	addr.port = (uint16_t)(addr.port + i);
	fd = tunnel_share(sockets, &addr);
	return fd >= 0 ? fd : socket_bind(&addr, SOCKET_TUNNEL, SOCKET_FIRST);
}

/* If it fails, sockets_abandon() removes what it leaves behind. */
static int slot_open(struct sockets *sockets, struct sockets_change *change, const struct slot *slot,
		     struct sockets_failure *failure)
{
	int *fds = change->fds + change->opened_count * sockets->worker_count;
	int err = 0;

	*failure = (struct sockets_failure){ .addr = slot->addr };
	for (unsigned i = 0; i < sockets->worker_count; i++)
		fds[i] = -1;
	change->opened[change->opened_count++] = *slot;
	for (unsigned i = 0; !err && i < sockets->worker_count; i++) {
		fds[i] = slot_bind(sockets, slot, i);
		if (fds[i] < 0)
			return fds[i];
		socket_set_rcvbuf(fds[i], change->rcvbuf_octets);
		err = worker_admit(sockets->workers[i], fds[i]);
	}
	failure->unwatched = err != 0;
	return err;
}

int sockets_prepare(struct sockets_change **out, struct sockets *sockets, const struct sockets_of *wanted,
		    struct sockets_failure *failure)
{
	struct sockets_change *change = calloc(1, sizeof *change);
	int err = change ? wanted_fill(change, wanted) : -ENOMEM;

	if (!err) {
		change->rcvbuf_octets = wanted->conf->rcvbuf_octets;
		change->opened = calloc(change->wanted_count, sizeof *change->opened);
		change->fds = calloc(change->wanted_count * sockets->worker_count, sizeof *change->fds);
		change->taken = calloc(sockets->count * sockets->worker_count + 1, sizeof *change->taken);
		if (!change->opened || !change->fds || !change->taken)
			err = -ENOMEM;
	}
	for (size_t i = 0; !err && i < change->wanted_count; i++) {
		if (slot_in(&change->wanted[i], sockets->slots, sockets->count))
			continue;
		err = slot_open(sockets, change, &change->wanted[i], failure);
	}
	if (err) {
		sockets_abandon(sockets, change);
		return err;
	}
	*out = change;
	return 0;
}

static int slot_set(const struct slot *slot, struct worker *worker, int fd)
{
	switch (slot->kind) {
	case SLOT_LISTENER:
		return worker_set_listener(worker, slot->number, fd);
	case SLOT_TUNNEL:
		return worker_set_pool(worker, slot->number, fd);
	case SLOT_ENDPOINT:
		break;
	}
	return worker_set_endpoint(worker, slot->family, slot->number, fd);
}

/* Gives worker `i` the descriptor, or with -1 takes away the one it has. */
static void slot_give(const struct sockets *sockets, struct sockets_change *change, const struct slot *slot, unsigned i,
		      int fd)
{
	int old = slot_set(slot, sockets->workers[i], fd);

	if (old >= 0)
		change->taken[change->taken_count++] = old;
}

void sockets_add(struct sockets *sockets, struct sockets_change *change)
{
	for (size_t i = 0; i < change->opened_count; i++)
		for (unsigned w = 0; w < sockets->worker_count; w++)
			slot_give(sockets, change, &change->opened[i], w, change->fds[i * sockets->worker_count + w]);
}

static void change_free(struct sockets_change *change)
{
	free(change->wanted);
	free(change->opened);
	free(change->fds);
	free(change->taken);
	free(change);
}

/* True also if another socket has taken its place, as with a tunnel whose local address is new. */
static bool slot_stays(const struct slot *slot, const struct sockets_change *change)
{
	for (size_t i = 0; i < change->wanted_count; i++)
		if (slot_same(slot, &change->wanted[i]))
			return true;
	return false;
}

void sockets_remove(struct sockets *sockets, struct sockets_change *change)
{
	for (size_t i = 0; i < sockets->count; i++) {
		const struct slot *slot = &sockets->slots[i];
		bool stays = slot_stays(slot, change);

		for (unsigned w = 0; !stays && w < sockets->worker_count; w++)
			slot_give(sockets, change, slot, w, -1);
	}
	/* Workers may be in the middle of a batch that leaves through them. */
	if (change->taken_count)
		publisher_wait(sockets->workers[0]->path.publisher);
	for (size_t i = 0; i < change->taken_count; i++)
		close(change->taken[i]);
	free(sockets->slots);
	sockets->slots = change->wanted;
	sockets->count = change->wanted_count;
	change->wanted = NULL;
	change_free(change);
}

void sockets_abandon(struct sockets *sockets, struct sockets_change *change)
{
	if (!change)
		return;
	for (size_t i = 0; i < change->opened_count; i++) {
		for (unsigned w = 0; w < sockets->worker_count; w++) {
			int fd = change->fds[i * sockets->worker_count + w];

			if (fd < 0)
				continue;
			worker_dismiss(sockets->workers[w], fd);
			close(fd);
		}
	}
	change_free(change);
}
