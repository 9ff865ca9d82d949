/* Sockets that take the place of others: a listener that goes from one address of a port to all of them, or back. Both
 * are open for a while. The kernel gives what arrives to the one with the more specific address.
 *
 * Flows remember the listener that their device had addressed. Until the device is heard again, replies leave in the
 * name of the old one, from the address that it had.
 */
#include <time.h>

#include "control/sockets_priv.h"
#include "io/socket.h"
#include "path/service_addrs.h"

enum { DRAIN_TURNS = 100 /* of a millisecond, which is long: workers read what arrives at once */ };

static unsigned last_port(const struct sockets *sockets, const struct slot *slot)
{
	return slot->addr.port + (slot->kind == SLOT_TUNNEL ? sockets->worker_count - 1 : 0);
}

/* True if a socket of one slot keeps one of the other from being bound. Tunnels that share ports share sockets. */
static bool slots_meet(const struct sockets *sockets, const struct slot *a, const struct slot *b)
{
	if (a->kind == SLOT_TUNNEL && b->kind == SLOT_TUNNEL)
		return false;
	if (a->addr.port > last_port(sockets, b) || b->addr.port > last_port(sockets, a))
		return false;
	if (addr_is_v4(&a->addr) != addr_is_v4(&b->addr))
		return false;
	return addr_is_wildcard(&a->addr) || addr_is_wildcard(&b->addr) ||
	       memcmp(a->addr.ip, b->addr.ip, sizeof a->addr.ip) == 0;
}

static bool makes_way(const struct sockets *sockets, const struct sockets_change *change, const struct slot *old,
		      const struct slot *slot)
{
	return !slot_stays(old, change) && slots_meet(sockets, old, slot);
}

bool moved_meets(const struct sockets *sockets, const struct sockets_change *change, const struct slot *slot)
{
	for (size_t i = 0; i < sockets->count; i++)
		if (makes_way(sockets, change, &sockets->slots[i], slot))
			return true;
	return false;
}

int slot_handle(const struct sockets *sockets, const struct slot *slot, unsigned i)
{
	const struct path *path;

	if (i >= sockets->worker_count)
		return surplus_handle(sockets, slot, i - sockets->worker_count);
	path = &sockets->workers[i]->path;
	switch (slot->kind) {
	case SLOT_LISTENER:
		return atomic_load(&path->listener_handles[slot->number]);
	case SLOT_TUNNEL:
		return atomic_load(&path->pool_handles[slot->number]);
	case SLOT_ENDPOINT:
		break;
	}
	return atomic_load(&path->endpoint_handles[slot->family][slot->number]);
}

void moved_yield(const struct sockets *sockets, const struct sockets_change *change, const struct slot *slot,
		 bool yields)
{
	for (size_t i = 0; i < sockets->count; i++)
		for (unsigned w = 0;
		     makes_way(sockets, change, &sockets->slots[i], slot) && w < slot_size(sockets, &sockets->slots[i]);
		     w++)
			socket_yield(slot_handle(sockets, &sockets->slots[i], w), yields);
}

static bool is_replaced(const struct sockets *sockets, const struct sockets_change *change, const struct slot *old)
{
	for (size_t i = 0; i < change->opened_count; i++)
		if (makes_way(sockets, change, old, &change->opened[i]))
			return true;
	return false;
}

static bool holds(const struct sockets *sockets, const struct slot *slot)
{
	for (unsigned w = 0; w < slot_size(sockets, slot); w++)
		if (socket_holds(slot_handle(sockets, slot, w)))
			return true;
	return false;
}

void moved_retire(const struct sockets *sockets, const struct sockets_change *change)
{
	static const struct timespec turn = { .tv_nsec = 1000000 };
	unsigned turns = 0;

	for (size_t i = 0; i < sockets->count; i++) {
		const struct slot *old = &sockets->slots[i];

		if (!is_replaced(sockets, change, old))
			continue;
		for (unsigned w = 0; w < slot_size(sockets, old); w++)
			(void)socket_retire(slot_handle(sockets, old, w));
		while (holds(sockets, old) && turns++ < DRAIN_TURNS)
			(void)nanosleep(&turn, NULL);
	}
}

static void pin(const struct sockets *sockets, uint16_t listener, const uint8_t *local)
{
	if (sockets->worker_count > 0)
		service_addrs_pin(sockets->workers[0]->path.service_addrs, listener, local);
}

void moved_take_back(struct sockets *sockets, uint16_t listener)
{
	if (!sockets->lent[listener])
		return;
	for (unsigned w = 0; w < sockets->worker_count; w++)
		(void)worker_lend_listener(sockets->workers[w], listener, -1);
	sockets->lent[listener] = false;
	pin(sockets, listener, NULL);
}

static void forget(struct sockets *sockets, const struct slot *slot)
{
	for (uint16_t i = 0; i < STATS_LISTENERS; i++)
		if (sockets->lent[i] &&
		    atomic_load(&sockets->workers[0]->path.listener_handles[i]) == slot_handle(sockets, slot, 0))
			moved_take_back(sockets, i);
}

/* Any would do: the flow says from which address it is sent. NULL: nobody listens there. */
static const struct slot *heir_of(const struct sockets *sockets, const struct sockets_change *change,
				  const struct slot *old)
{
	for (size_t i = 0; i < change->wanted_count; i++)
		if (change->wanted[i].kind == SLOT_LISTENER && slots_meet(sockets, old, &change->wanted[i]))
			return &change->wanted[i];
	return NULL;
}

bool moved_lend(struct sockets *sockets, struct sockets_change *change, const struct slot *slot)
{
	const struct slot *heir = slot->kind == SLOT_LISTENER ? heir_of(sockets, change, slot) : NULL;

	if (slot->kind == SLOT_LISTENER)
		forget(sockets, slot);
	if (!heir)
		return false;
	if (!addr_is_wildcard(&slot->addr))
		pin(sockets, slot->number, slot->addr.ip);
	for (unsigned w = 0; w < sockets->worker_count; w++) {
		const int old = worker_lend_listener(sockets->workers[w], slot->number, slot_handle(sockets, heir, w));

		worker_dismiss(sockets->workers[w], old);
		change->taken[change->taken_count++] = old;
	}
	sockets->lent[slot->number] = true;
	return true;
}
