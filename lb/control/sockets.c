#include "control/sockets_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/socket.h"

const char *slot_kind_name(enum slot_kind kind)
{
	static const char *const names[SLOT_KINDS] = {
		[SLOT_LISTENER] = "listener",
		[SLOT_ENDPOINT] = "endpoint",
		[SLOT_TUNNEL] = "tunnel",
	};

	return names[kind];
}

struct sockets *sockets_new(struct worker *const *workers, unsigned worker_count)
{
	struct sockets *sockets = calloc(1, sizeof *sockets);

	if (!sockets)
		return NULL;
	sockets->workers = workers;
	sockets->worker_count = worker_count;
	sockets->began_as_root = geteuid() == 0;
	return sockets;
}

void sockets_free(struct sockets *sockets)
{
	if (!sockets)
		return;
	inherited_drop(sockets);
	free(sockets->surplus);
	free(sockets->slots);
	free(sockets);
}

/* True if the workers keep both in one place, so that one replaces the other. */
static bool slot_same(const struct slot *a, const struct slot *b)
{
	return a->kind == b->kind && a->number == b->number && a->family == b->family;
}

bool slot_stays(const struct slot *slot, const struct sockets_change *change)
{
	for (size_t i = 0; i < change->wanted_count; i++)
		if (slot_same(slot, &change->wanted[i]))
			return true;
	return false;
}

bool slot_equal(const struct slot *a, const struct slot *b)
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
	for (size_t i = 0; i < conf->listener_count; i++) {
		const struct conf_pool *pool = &conf->pools[conf->listeners[i].pool];

		wanted_add(change, &(struct slot){ .kind = SLOT_LISTENER,
						   .number = of->listener_uids[i],
						   .addr = conf->listeners[i].addr,
						   .freebind = conf->listeners[i].freebind,
						   .ttl = pool->forward == FORWARD_DSR,
						   .cid_octets = slot_cid_octets(pool) });
	}
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

/* Whether one socket serves all workers: a group of one needs no others, and a group must not be open to others. */
static bool slot_is_shared(const struct sockets *sockets, const struct slot *slot)
{
	return slot->kind != SLOT_TUNNEL && (sockets->worker_count == 1 || (sockets->began_as_root && geteuid() != 0));
}

/* Who receives on a shared socket. Any would do; ports in a row go to one after another. */
static unsigned slot_receiver(const struct sockets *sockets, const struct slot *slot)
{
	return slot->number % sockets->worker_count;
}

static int bind_as(const struct opening *opening, enum socket_group group)
{
	const enum socket_use use = opening->slot.kind == SLOT_ENDPOINT ? SOCKET_ENDPOINT : SOCKET_LISTENER;

	return socket_bind_with(&opening->slot.addr, use, group, opening->extras);
}

int slot_bind(const struct sockets *sockets, const struct opening *opening, unsigned i)
{
	struct addr addr = opening->slot.addr;
	int fd;

	if (opening->slot.kind != SLOT_TUNNEL)
		return bind_as(opening, i == 0 ? SOCKET_FIRST : SOCKET_FURTHER);
	addr.port = (uint16_t)(addr.port + i);
	fd = tunnel_share(sockets, &addr);
	return fd >= 0 ? fd : socket_bind_with(&addr, SOCKET_TUNNEL, SOCKET_ALONE, opening->extras);
}

/* Opens one socket, with a descriptor for each worker. Only one of them watches it. */
static int slot_open_shared(struct sockets *sockets, const struct opening *opening, int *fds,
			    struct sockets_failure *failure)
{
	const unsigned receiver = slot_receiver(sockets, &opening->slot);
	const int fd = bind_as(opening, SOCKET_ALONE);
	int err;

	if (fd < 0)
		return fd;
	fds[receiver] = fd;
	socket_set_rcvbuf(fd, opening->rcvbuf_octets);
	for (unsigned i = 0; i < sockets->worker_count; i++) {
		if (i != receiver)
			fds[i] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (fds[i] < 0)
			return -errno;
	}
	err = worker_admit(sockets->workers[receiver], fd);
	failure->unwatched = err != 0;
	return err;
}

/* If it fails, sockets_abandon() removes what it leaves behind. */
static int slot_open(struct sockets *sockets, struct sockets_change *change, const struct slot *slot,
		     struct sockets_failure *failure)
{
	int *fds = change->fds + change->opened_count * sockets->worker_count;
	const struct opening opening = {
		.slot = *slot,
		.extras = (slot->freebind ? SOCKET_FREEBIND : 0U) |
			  (sockets->gave_up || moved_meets(sockets, change, slot) ? SOCKET_BESIDE : 0U),
		.rcvbuf_octets = change->rcvbuf_octets,
	};
	int err = 0;

	*failure = (struct sockets_failure){ .addr = slot->addr };
	for (unsigned i = 0; i < sockets->worker_count; i++)
		fds[i] = -1;
	change->opened[change->opened_count++] = *slot;
	if (inherited_has(sockets, slot))
		return inherited_open(sockets, change, &opening, fds, failure);
	if (slot_is_shared(sockets, slot))
		return slot_open_shared(sockets, &opening, fds, failure);
	for (unsigned i = 0; !err && i < sockets->worker_count; i++) {
		fds[i] = slot_bind(sockets, &opening, i);
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
		change->taken = calloc(sockets->count * sockets->worker_count + sockets->surplus_count + 1,
				       sizeof *change->taken);
		if (!change->opened || !change->fds || !change->taken)
			err = -ENOMEM;
	}
	if (!err)
		inherited_sort(sockets, change);
	for (size_t i = 0; !err && i < change->wanted_count; i++) {
		if (slot_in(&change->wanted[i], sockets->slots, sockets->count) ||
		    moved_meets(sockets, change, &change->wanted[i]))
			continue;
		err = slot_open(sockets, change, &change->wanted[i], failure);
	}
	inherited_drop(sockets);
	if (err) {
		sockets_abandon(sockets, change);
		return err;
	}
	*out = change;
	return 0;
}

int sockets_prepare_moved(struct sockets *sockets, struct sockets_change *change, struct sockets_failure *failure)
{
	int err = 0;

	for (size_t i = 0; !err && i < change->wanted_count; i++) {
		const struct slot *slot = &change->wanted[i];

		if (slot_in(slot, sockets->slots, sockets->count) || !moved_meets(sockets, change, slot))
			continue;
		moved_yield(sockets, change, slot, true);
		err = slot_open(sockets, change, slot, failure);
		moved_yield(sockets, change, slot, false);
	}
	return err;
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

size_t sockets_shared(const struct sockets *sockets)
{
	size_t shared = 0;

	for (size_t i = 0; sockets->worker_count > 1 && i < sockets->count; i++) {
		struct stat first, second;

		if (fstat(slot_handle(sockets, &sockets->slots[i], 0), &first) == 0 &&
		    fstat(slot_handle(sockets, &sockets->slots[i], 1), &second) == 0)
			shared += first.st_ino == second.st_ino;
	}
	return shared;
}

uint32_t sockets_rcvbuf(const struct sockets *sockets, enum slot_kind kind)
{
	uint32_t least = UINT32_MAX;

	for (size_t i = 0; i < sockets->count; i++) {
		for (unsigned w = 0; sockets->slots[i].kind == kind && w < slot_size(sockets, &sockets->slots[i]);
		     w++) {
			const uint32_t octets = socket_rcvbuf(slot_handle(sockets, &sockets->slots[i], w));

			least = octets < least ? octets : least;
		}
	}
	return least;
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
	for (size_t i = 0; i < change->opened_count; i++) {
		const struct slot *slot = &change->opened[i];

		if (slot->kind == SLOT_LISTENER) {
			moved_take_back(sockets, slot->number);
			sockets->refused[slot->number] = false;
		}
		for (unsigned w = 0; w < sockets->worker_count; w++)
			slot_give(sockets, change, slot, w, change->fds[i * sockets->worker_count + w]);
	}
	moved_retire(sockets, change);
}

static void change_free(struct sockets_change *change)
{
	free(change->wanted);
	free(change->opened);
	free(change->fds);
	free(change->taken);
	free(change);
}

void sockets_remove(struct sockets *sockets, struct sockets_change *change)
{
	for (size_t i = 0; i < sockets->count; i++) {
		const struct slot *slot = &sockets->slots[i];
		bool stays = slot_stays(slot, change) || moved_lend(sockets, change, slot);

		for (unsigned w = 0; !stays && w < sockets->worker_count; w++)
			slot_give(sockets, change, slot, w, -1);
	}
	surplus_take(sockets, change);
	/* Workers may be in the middle of a batch that leaves through them. */
	if (change->taken_count)
		publisher_wait(sockets->workers[0]->path.publisher);
	for (size_t i = 0; i < change->taken_count; i++)
		close(change->taken[i]);
	free(sockets->slots);
	sockets->slots = change->wanted;
	sockets->count = change->wanted_count;
	change->wanted = NULL;
	for (size_t i = 0; i < sockets->count; i++)
		for (unsigned w = 0; sockets->slots[i].ttl && w < slot_size(sockets, &sockets->slots[i]); w++)
			socket_tell_hop(slot_handle(sockets, &sockets->slots[i], w));
	for (size_t i = 0; i < sockets->count; i++)
		if (sockets->slots[i].kind == SLOT_LISTENER)
			slot_choose_by_cid(sockets, &sockets->slots[i]);
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
