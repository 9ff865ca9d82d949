#include "tests/simulation/path/balancer.h"

#include <stdlib.h>

#include "control/flow_home.h"
#include "control/table_build.h"
#include "path/batch.h"
#include "tests/simulation/path/world.h"

enum { CRAMPED_CIDS = 16 };

static const uint8_t secret[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

#define NODE_ID(length_, offset_, size_)                                                                               \
	{                                                                                                              \
		.scheme = CID_LAYOUT_ID, .lbcid = { .length = (length_), .offset = (offset_), .size = (size_) },       \
		.length = (length_)                                                                                    \
	}

static const struct {
	char *name;
	enum pool_protocol protocol;
	enum conf_rebind rebind;
	struct cid_layout layout;
} shapes[POOLS] = {
	[POOL_FOLLOW] = { "follow", POOL_DTLS, REBIND_FOLLOW, NODE_ID(8, 0, 1) },
	[POOL_BACKEND] = { "backend", POOL_DTLS, REBIND_BACKEND, NODE_ID(6, 1, 2) },
	[POOL_HASH] = { "hash", POOL_DTLS, REBIND_FOLLOW, { .scheme = CID_LAYOUT_HASH, .length = 5 } },
	[POOL_PLAIN] = { "plain", POOL_UDP, REBIND_FOLLOW, { 0 } },
	[POOL_HOME] = { "home", POOL_DTLS, REBIND_FOLLOW, NODE_ID(7, 2, 1) },
	[POOL_LEARNED] = { "learned", POOL_DTLS, REBIND_FOLLOW, { .scheme = CID_LAYOUT_LEARNED, .length = 8 } },
};

static const size_t pool_of_listener[LISTENERS] = { POOL_FOLLOW, POOL_FOLLOW, POOL_BACKEND, POOL_HASH,
						    POOL_PLAIN,  POOL_HOME,   POOL_LEARNED };
static char *const listener_names[LISTENERS] = { "l0", "l1", "l2", "l3", "l4", "l5", "l6" };
static char *const member_names[POOL_MEMBERS] = { "a", "b", "c", "d", "e" };

/* The first world's table. Filling the slots of a table takes longer than running a world, so all later worlds share
 * them. */
static struct table *first_table;
static struct path *the_path;
static void *learned_memory;

int balancer_pool(int service)
{
	return (int)pool_of_listener[network_listener(service)];
}

int balancer_service(int listener, const uint8_t *local)
{
	for (int service = 0; service < SERVICES; service++) {
		struct addr addr = network_service(service);

		if (network_listener(service) == listener && (listener == 1) == (local != NULL) &&
		    (!local || memcmp(local, addr.ip, sizeof addr.ip) == 0))
			return service;
	}
	return NOBODY;
}

const struct cid_layout *balancer_layout(int pool)
{
	return &shapes[pool].layout;
}

struct server_id balancer_server_id(int number)
{
	struct server_id id = { 0 };

	(void)cid_id_from_number(&id, &shapes[number / POOL_MEMBERS].layout, (uint64_t)(number % POOL_MEMBERS) + 7);
	return id;
}

int balancer_owner(const struct balancer *balancer, int number)
{
	int member = number / POOL_MEMBERS * POOL_MEMBERS;

	while (balancer->members[member].id != number)
		member++;
	return member;
}

bool balancer_can_swap(const struct balancer *balancer, int member, int other)
{
	const struct member *one = &balancer->members[member], *two = &balancer->members[other];

	return member != other && one->configured && two->configured && member / POOL_MEMBERS == other / POOL_MEMBERS &&
	       shapes[member / POOL_MEMBERS].layout.scheme == CID_LAYOUT_ID &&
	       addr_is_v4(&one->addr) == addr_is_v4(&two->addr);
}

void balancer_move(struct balancer *balancer, int member)
{
	balancer->members[member].addr.ip[14]++;
}

/* IPv6 reaches the third member of each pool. */
static struct addr member_addr(int member)
{
	if (member % POOL_MEMBERS == 2)
		return (struct addr){ .ip = { 0xfd, [15] = (uint8_t)member }, .port = 6000 };
	return (struct addr){ .ip = { [10] = 0xff, 0xff, 10, 0, 0, (uint8_t)member }, .port = 6000 };
}

int balancer_member(const struct balancer *balancer, const struct addr *addr)
{
	int member = addr->ip[15];

	return member < MEMBERS && addr_equal(&balancer->members[member].addr, addr) ? member : NOBODY;
}

bool balancer_accepts(const struct member *member)
{
	return member->configured && backend_accepts_new(member->health, member->admin, 100);
}

bool balancer_keeps(const struct member *member)
{
	return member->configured && member->health == BACKEND_UP && member->admin != BACKEND_MAINT;
}

bool balancer_serves(const struct balancer *balancer, int member)
{
	return balancer->members[member].configured && balancer->members[member].admin != BACKEND_MAINT;
}

static struct conf_nat nat_of(const struct world *world, int pool)
{
	return (struct conf_nat){
		.rebind = shapes[pool].rebind,
		.sources = { { { .ip = { [10] = 0xff, 0xff, 127, 64 } }, 10 }, { { .ip = { 0xfd, 1 } }, 64 } },
		.source_count = 2,
		.port_first = 40684,
		.port_last = 40691,
		.idle_s = world->traits.idle_s,
		.cid_idle_s = world->traits.cid_idle_s,
		.max_flows = world->traits.max_flows,
		.contest = pool == POOL_HOME ? CONTEST_HOME : CONTEST_OWN,
		.endpoint = pool == POOL_HOME && world->traits.rejects ? ENDPOINT_HANDSHAKE : ENDPOINT_CID,
		.unproven_rate = world->traits.unproven_rate,
	};
}

/* Writes the configuration that `members` describes. */
static void conf_write(struct world *world)
{
	struct balancer *balancer = &world->balancer;

	balancer->conf = (struct conf){ .pools = balancer->pools,
					.pool_count = POOLS,
					.listeners = balancer->listeners,
					.listener_count = LISTENERS };
	memcpy(balancer->conf.hash_key, secret, sizeof secret);
	for (int i = 0; i < POOLS; i++) {
		struct conf_pool *pool = &balancer->pools[i];

		*pool = (struct conf_pool){ .name = shapes[i].name, .protocol = shapes[i].protocol };
		pool->layout =
			i == POOL_LEARNED ? (struct cid_layout){ .scheme = CID_LAYOUT_LEARNED } : shapes[i].layout;
		pool->nat = nat_of(world, i);
		if (shapes[i].protocol == POOL_DTLS)
			pool->hello_rate = (struct conf_hello_rate){ .prefix = world->traits.hello_rate };
		pool->backends = balancer->backends[i];
		for (int j = 0; j < POOL_MEMBERS; j++) {
			struct member *member = &balancer->members[i * POOL_MEMBERS + j];

			if (member->configured)
				pool->backends[pool->backend_count++] = (struct conf_backend){
					.name = member_names[j],
					.has_id = shapes[i].layout.scheme == CID_LAYOUT_ID,
					.id = balancer_server_id(member->id),
					.addr = member->addr,
					.weight = 100,
					.admin = member->admin,
				};
		}
	}
	for (int i = 0; i < LISTENERS; i++) {
		const struct addr wildcard = { .ip = { [10] = 0xff, 0xff }, .port = 5685 };
		int service = balancer_service(i, NULL);

		balancer->listeners[i] =
			(struct conf_listener){ .name = listener_names[i], .pool = pool_of_listener[i] };
		balancer->listeners[i].addr = service == NOBODY ? wildcard : network_service(service);
	}
}

static void uids_note(struct balancer *balancer, struct table_spec *spec)
{
	for (size_t i = 0; i < spec->backend_count; i++) {
		struct member *member = &balancer->members[balancer_member(balancer, &spec->backends[i].addr)];

		member->uid = spec->backends[i].uid;
		spec->backends[i].health = member->health;
	}
	for (size_t i = 0; i < POOLS; i++) {
		struct flows_limits limits = { balancer->pools[i].nat.max_flows, balancer->pools[i].nat.idle_s * 1000,
					       balancer->pools[i].nat.cid_idle_s * 1000 };

		balancer->pool_uids[i] = spec->pools[i].uid;
		if (flows_set_limits(balancer->flows, spec->pools[i].uid, &limits))
			abort();
	}
}

void balancer_reload(struct world *world)
{
	struct balancer *balancer = &world->balancer;
	const struct table *previous = publisher_read(&balancer->publisher);
	/* Of the wildcard listener. */
	struct host_prefix host[] = { { network_service(1), 32 }, { network_service(2), 32 } };
	struct table_spec spec;
	struct table *table;

	conf_write(world);
	if (table_spec_make(&spec, &balancer->conf, balancer->pool_names, balancer->backend_names))
		abort();
	host[0].addr.port = host[1].addr.port = 0;
	spec.host = (struct host_addrs){ host, sizeof host / sizeof host[0] };
	uids_note(balancer, &spec);
	spec.learned[POOL_LEARNED].of[LEARNED_CIDS] = &balancer->learned;
	for (int i = 0; i < LISTENERS; i++)
		balancer->listener_uids[i] = uids_give(balancer->listener_names, 0, listener_names[i]);
	table = table_build(&balancer->conf, &spec, balancer->listener_uids, previous ? previous : first_table);
	if (!table)
		abort();
	if (!first_table)
		first_table = table_build(&balancer->conf, &spec, balancer->listener_uids, table);
	publisher_publish(&balancer->publisher, table);
	table_spec_free(&spec);
	(void)flow_home_follow(balancer->flows, publisher_read(&balancer->publisher));
}

static struct path *path_make(void)
{
	static const struct path_shared none;
	struct path *path = aligned_alloc(_Alignof(struct path), sizeof *path);

	if (!path)
		abort();
	memset(path, 0, sizeof *path);
	if (path_begin(path, &none, network_io()))
		abort();
	for (int i = 0; i < LISTENERS; i++)
		path->listener_handles[i] = BALANCER_LISTENERS + i;
	for (int family = 0; family < IO_FAMILIES; family++)
		for (int port = 0; port < 1 << 16; port++)
			path->endpoint_handles[family][port] = BALANCER_ENDPOINTS + port;
	return path;
}

/* A table that is much too small cannot be taken up again. It stays what it is. */
static void learned_make(struct world *world)
{
	const size_t octets = (learned_octets(LEARNED_MIN_CIDS) + 63) / 64 * 64;
	const bool cramped = world->invariants.class == WORLD_CRAMPED;

	if (!learned_memory)
		learned_memory = aligned_alloc(64, octets);
	if (!learned_memory)
		abort();
	memset(learned_memory, 0, octets);
	learned_begin(&world->balancer.learned, learned_memory, cramped ? CRAMPED_CIDS : LEARNED_MIN_CIDS, secret);
}

static void learned_take_up(struct world *world)
{
	struct learned *learned = &world->balancer.learned;
	const uint32_t before = learned_count(learned);

	if (learned_max_cids(learned) < LEARNED_MIN_CIDS)
		return;
	if (learned_resume(learned, learned_memory, learned_octets(LEARNED_MIN_CIDS)) ||
	    learned_count(learned) != before)
		invariants_expect(world, false, "16: what was learned is not there after a restart");
}

void balancer_begin(struct world *world)
{
	struct balancer *balancer = &world->balancer;

	for (int i = 0; i < MEMBERS; i++) {
		balancer->members[i] = (struct member){ .configured = i % POOL_MEMBERS < 3,
							.health = BACKEND_UP,
							.admin = BACKEND_READY };
		balancer->members[i].addr = member_addr(i);
		balancer->members[i].id = i;
	}
	if (!the_path)
		the_path = path_make();
	balancer->path = the_path;
	learned_make(world);
	balancer_start(world);
}

void balancer_start(struct world *world)
{
	struct balancer *balancer = &world->balancer;
	struct path *path = balancer->path;

	balancer->listener_names = uids_new(STATS_LISTENERS);
	balancer->pool_names = uids_new(STATS_POOLS);
	balancer->backend_names = uids_new(STATS_BACKENDS);
	balancer->flows = path->flows = flows_new(secret);
	balancer->service_addrs = path->service_addrs = service_addrs_new();
	balancer->limit = path->limit = limit_new(STATS_POOLS, STATS_BACKENDS, secret);
	balancer->allowances = path->allowances = allowances_new(STATS_POOLS, secret);
	balancer->handshakes = path->handshakes = handshakes_new(secret);
	path->hello_key = hello_key_make(secret);
	if (!balancer->listener_names || !balancer->pool_names || !balancer->backend_names || !balancer->flows ||
	    !balancer->service_addrs || !balancer->limit || !balancer->allowances || !balancer->handshakes)
		abort();
	for (int i = 0; i < MEMBERS; i++)
		balancer->members[i].uid = UIDS_FULL;
	memset(&path->stats, 0, sizeof path->stats);
	learned_take_up(world);
	path->publisher = &balancer->publisher;
	balancer_reload(world);
	balancer->running = true;
	invariants_restart(world);
}

void balancer_stop(struct world *world)
{
	struct balancer *balancer = &world->balancer;

	if (!balancer->running)
		return;
	balancer->running = false;
	publisher_publish(&balancer->publisher, NULL);
	flows_free(balancer->flows);
	service_addrs_free(balancer->service_addrs);
	limit_free(balancer->limit);
	allowances_free(balancer->allowances);
	handshakes_free(balancer->handshakes);
	uids_free(balancer->listener_names);
	uids_free(balancer->pool_names);
	uids_free(balancer->backend_names);
}

void balancer_end(struct world *world)
{
	balancer_stop(world);
}

void balancer_sweep(struct world *world)
{
	for (int i = 0; i < FLOWS_SWEEP_CALLS; i++)
		flows_sweep(world->balancer.flows, (uint32_t)world->now_ms);
}

void balancer_receive(struct world *world, int first)
{
	struct balancer *balancer = &world->balancer;
	struct datagram *datagrams = world->network.datagrams, *head = &datagrams[first];
	const struct table *table = publisher_read(&balancer->publisher);
	struct io_datagram batch[IO_BATCH];
	size_t count = 0;

	for (int i = first; i != NOBODY; i = datagrams[i].next) {
		struct datagram *datagram = &datagrams[i];
		struct addr to = datagram->leg == LEG_LISTENER ? network_service(datagram->service) : datagram->to;

		batch[count] = (struct io_datagram){ .data = datagram->wire.data,
						     .len = datagram->wire.len,
						     .from = datagram->from };
		memcpy(batch[count++].local, to.ip, sizeof to.ip);
	}
	balancer->path->clock_ms = world->now_ms;
	balancer->path->now_ms = (uint32_t)world->now_ms;
	invariants_batch_begins(world, first);
	if (head->leg == LEG_LISTENER)
		batch_uplink(balancer->path, table, balancer->listener_uids[network_listener(head->service)], batch,
			     count);
	else
		batch_reply(balancer->path, table, head->to.port, batch, count);
	io_flush(balancer->path->outbox);
	invariants_batch_ends(world, first);
}
