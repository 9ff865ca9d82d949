#include "tests/oracle/fast/bed.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	LOOPBACK = 1, /* what BPF_PROG_TEST_RUN says that a frame came in through */
	LEARNED_CIDS = 4096,
	/* Frames may leave through the first, and not through the second. */
	DEVICE_ANOTHER = 1,
	DEVICE_BROKEN = 5,
	IFACE_ANOTHER = 101,
	IFACE_BROKEN = IFACE_ANOTHER - DEVICE_ANOTHER + DEVICE_BROKEN,
};

const uint8_t bed_mac[6] = { 2, 0, 0, 0, 0, 1 };
const uint8_t bed_gateway_mac[6] = { 2, 0, 0, 0, 1, 1 };
const uint8_t bed_backend_mac[6] = { 2, 0, 0, 0, 2, 2 };

static const struct siphash_key service_key = { 1, 2 };

unsigned roll(struct bed *bed, unsigned below)
{
	return (unsigned)(dice_roll(&bed->dice) >> 33) % below;
}

static struct addr addr_of(const char *text)
{
	struct addr addr;

	if (addr_parse(&addr, text) != 0)
		abort();
	return addr;
}

struct addr bed_service(const struct bed *bed, enum pool_kind pool, bool v6)
{
	struct addr addr = addr_of(v6 ? "[2001:db8:1::1]:1" : "10.1.0.1:1");

	(void)bed;
	addr.port = (uint16_t)(FIRST_PORT + pool);
	return addr;
}

uint16_t bed_listener(enum pool_kind pool, bool v6)
{
	return (uint16_t)(2 * pool + v6);
}

bool bed_outer_v6(enum pool_kind pool)
{
	return pool == POOL_NODE_ID_HASHED || pool == POOL_STATELESS || pool == POOL_L2_V6 || pool == POOL_IPIP_V6;
}

bool bed_is_dsr(enum pool_kind pool)
{
	return pool >= POOL_L2 && pool <= POOL_IPIP_V6;
}

bool bed_wraps(enum pool_kind pool)
{
	return pool == POOL_IPIP || pool == POOL_IPIP_V6;
}

bool bed_has_rotations(enum pool_kind pool)
{
	return pool == POOL_QUIC_LB || pool == POOL_L2_V6 || pool == POOL_IPIP_V6;
}

bool bed_listens(enum pool_kind pool, bool v6)
{
	return bed_is_dsr(pool) ? v6 == bed_outer_v6(pool) : pool != POOL_STATELESS || !v6;
}

struct addr bed_outer_source(enum pool_kind pool)
{
	return addr_of(bed_outer_v6(pool) ? "[2001:db8:2::99]:1" : "10.2.0.99:1");
}

struct addr bed_backend_addr(enum pool_kind pool, enum cast cast)
{
	struct addr addr = addr_of(bed_outer_v6(pool) ? "[2001:db8:2::100]:1" : "10.2.0.100:1");

	if (cast == CAST_NOWHERE)
		addr = addr_of(bed_outer_v6(pool) ? "[::]:1" : "0.0.0.0:1");
	else
		addr.ip[15] = (uint8_t)(100 + cast);
	addr.port = (uint16_t)(6000 + pool);
	return addr;
}

uint16_t bed_uid(enum pool_kind pool, enum cast cast)
{
	return (uint16_t)(16 * pool + cast + 1);
}

/* clang-format off */
static const struct cid_rotation rotations[] = {
	{ .rotation = 0, .id_octets = 3, .nonce_octets = 4 },
	{ .rotation = 1, .id_octets = 3, .nonce_octets = 6, .has_key = true, .key = { 7 } },
	{ .rotation = 2, .id_octets = 3, .nonce_octets = 13, .has_key = true, .key = { 8 } },
};
/* clang-format on */

static struct cid_layout layout_of(enum pool_kind pool)
{
	struct cid_layout layout = { .scheme = CID_LAYOUT_NONE };

	switch (pool) {
	case POOL_NODE_ID:
	case POOL_STATELESS:
	case POOL_L2:
	case POOL_IPIP:
	case POOL_NAT:
		layout.scheme = CID_LAYOUT_ID;
		layout.length = 8;
		layout.lbcid = (struct lbcid_config){ .scheme = LBCID_NODE_ID, .length = 8, .size = 1 };
		break;
	case POOL_NODE_ID_HASHED:
		layout.scheme = CID_LAYOUT_ID;
		layout.length = 20;
		layout.lbcid = (struct lbcid_config){ LBCID_NODE_ID, .length = 20, .offset = 3, .size = 2 };
		break;
	case POOL_QUIC_LB:
	case POOL_L2_V6:
	case POOL_IPIP_V6:
		if (cid_layout_make(&layout, rotations, sizeof rotations / sizeof *rotations) != 0)
			abort();
		break;
	case POOL_LEARNED:
		layout.scheme = CID_LAYOUT_LEARNED;
		break;
	case POOL_HASHED:
		layout.scheme = CID_LAYOUT_HASH;
		layout.length = 8;
		break;
	default:
		break;
	}
	return layout;
}

static struct server_id id_of(const struct cid_layout *layout, enum cast cast)
{
	struct server_id id;

	if (cid_id_from_number(&id, layout, cast + 1U) != 0)
		abort();
	return id;
}

static void snapshot_make(struct bed *bed)
{
	static const char *const pool_names[POOL_KINDS] = { "p0", "p1", "p2", "p3",  "p4",  "p5", "p6",
							    "p7", "p8", "p9", "p10", "p11", "p12" };
	static const char *const names[] = { "up",  "drains", "down",   "maint",   "nowhere",
					     "old", "narrow", "broken", "another", "elsewhere" };
	static struct snapshot_backend backends[POOL_KINDS][CASTS];
	static struct snapshot_id ids[POOL_KINDS][CASTS];
	struct snapshot_pool_spec specs[POOL_KINDS];

	for (int pool = 0; pool < POOL_KINDS; pool++) {
		struct snapshot_pool_spec *spec = &specs[pool];

		*spec = (struct snapshot_pool_spec){
			.name = pool_names[pool],
			.uid = (uint16_t)pool,
			.protocol = pool == POOL_PLAIN ? POOL_UDP : POOL_DTLS,
			.affinity = pool == POOL_QUIC_LB ? AFFINITY_ADDRESS : AFFINITY_ADDRESS_PORT,
			.unknown_cid = pool == POOL_NODE_ID_HASHED ? UNKNOWN_CID_HASH : UNKNOWN_CID_DROP,
			.layout = layout_of((enum pool_kind)pool),
			.backends = backends[pool],
			.backend_count = CASTS,
			.ids = ids[pool],
		};
		for (int cast = 0; cast < CASTS; cast++) {
			backends[pool][cast] = (struct snapshot_backend){
				.name = names[cast],
				.uid = bed_uid((enum pool_kind)pool, (enum cast)cast),
				.weight = 100,
				.addr = bed_backend_addr((enum pool_kind)pool, (enum cast)cast),
				.iface = cast == CAST_ELSEWHERE ? 77
					 : cast == CAST_UP      ? LOOPBACK
								: 0,
				.health = cast == CAST_DOWN ? BACKEND_DOWN : BACKEND_UP,
				.admin = cast == CAST_DRAINS  ? BACKEND_DRAIN
					 : cast == CAST_MAINT ? BACKEND_MAINT
							      : BACKEND_READY,
			};
			if (spec->layout.scheme == CID_LAYOUT_ID)
				ids[pool][spec->id_count++] =
					(struct snapshot_id){ id_of(&spec->layout, (enum cast)cast), (uint16_t)cast };
		}
	}
	bed->table->snapshot = snapshot_build(&service_key, specs, POOL_KINDS, NULL);
	if (!bed->table->snapshot)
		abort();
	for (int pool = 0; pool < POOL_KINDS; pool++)
		cid_layout_drop(&specs[pool].layout);
}

static void bad_sources_make(struct bed *bed)
{
	struct addr pairs[2 * POOL_KINDS + POOL_KINDS * (size_t)CASTS + POOL_KINDS + 2];
	const struct bad_prefix prefixes[] = { { addr_of("10.64.0.0:1"), 16 },
					       { addr_of("127.0.0.0:5700"), 8 },
					       { addr_of("[2001:db8:64::]:1"), 56 } };
	struct bad_prefix any_port[3];
	size_t count = 0;

	memcpy(any_port, prefixes, sizeof any_port);
	any_port[0].addr.port = any_port[2].addr.port = 0;
	for (int pool = 0; pool < POOL_KINDS; pool++) {
		pairs[count++] = bed_service(bed, (enum pool_kind)pool, false);
		pairs[count++] = bed_service(bed, (enum pool_kind)pool, true);
		pairs[count++] = bed->table->pools[pool].tunnel_local;
		for (int cast = 0; cast < CASTS; cast++)
			pairs[count++] = bed_backend_addr((enum pool_kind)pool, (enum cast)cast);
	}
	pairs[count++] = addr_of("10.1.0.1:5700");
	pairs[count++] = addr_of("10.9.0.1:5700");
	snapshot_take_bad_sources(bed->table->snapshot, bad_sources_new(&(struct bad_sources_spec){
								.pairs = pairs,
								.pair_count = count,
								.prefixes = any_port,
								.prefix_count = 3,
							}));
}

/* All pools have the same keys, so that a tag does not say which one it is of. Both have the same id. */
static void keys_make(struct table_pool *pool)
{
	pool->tunnel_keys.count = 2;
	pool->tunnel_keys.keys[0] = (struct proxy2_key){ 9, { 16, 17 } };
	pool->tunnel_keys.keys[1] = (struct proxy2_key){ 9, { 16, 18 } };
}

/* CIDs that backends have given out, of five and of eight octets. */
static void learned_make(struct bed *bed)
{
	static const uint8_t secret[16] = { 3 };
	static struct learned learned;
	const struct snapshot_pool *pool = &bed->table->snapshot->pools[POOL_LEARNED];
	void *memory = aligned_alloc(64, learned_octets(LEARNED_CIDS));

	if (!memory)
		abort();
	memset(memory, 0, learned_octets(LEARNED_CIDS));
	learned_begin(&learned, memory, LEARNED_CIDS, secret);
	bed->table->pools[POOL_LEARNED].learned = learned_servers_new(pool, &learned, NULL);
	for (int i = 0; i < SESSIONS; i++) {
		struct session *session = &bed->sessions[POOL_LEARNED][i];

		session->len = i % 3 ? 8 : 5;
		for (int octet = 0; octet < session->len; octet++)
			session->cid[octet] = (uint8_t)roll(bed, 256);
		learned_cids_add(bed->table->pools[POOL_LEARNED].learned, pool,
				 bed_uid(POOL_LEARNED, (enum cast)(i % CASTS)), session->cid, session->len);
	}
}

static int random_octets_of(void *ctx, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)roll(ctx, 256);
	return 0;
}

static void sessions_make(struct bed *bed, enum pool_kind kind)
{
	const struct snapshot_pool *pool = &bed->table->snapshot->pools[kind];

	for (int i = 0; i < SESSIONS; i++) {
		struct session *session = &bed->sessions[kind][i];
		const struct lbcid_config *config =
			cid_config(&pool->layout, (uint8_t)(bed_has_rotations(kind) ? i % 3 : 0));

		session->len = config ? config->length : 8;
		random_octets_of(bed, session->cid, session->len);
		if (config && lbcid_mint(config, id_of(&pool->layout, (enum cast)(i % CASTS)).octets, random_octets_of,
					 bed, session->cid) != 0)
			abort();
	}
}

static void embed_pool_make(struct bed *bed, enum pool_kind pool)
{
	const struct addr prefix = addr_of("[2001:db8:64::]:1"), service = bed_service(bed, pool, false);
	struct table *table = bed->table;
	struct stateless *stateless = &table->pools[pool].stateless;

	table->pools[pool].forwarder = &forward_nat_stateless;
	stateless->embed = embed_make(&prefix, 56, &service);
	stateless->embed.keys[stateless->embed.key_count++] = (struct siphash_key){ 20, 21 };
	stateless->embed.keys[stateless->embed.key_count++] = (struct siphash_key){ 22, 23 };
	stateless->port = EMBED_PORT;
	stateless->listener = bed_listener(pool, false);
	table->stateless_pools[table->stateless_count++] = (uint16_t)pool;
}

/* As control/dsr.h finds it out. */
static void hops_make(struct bed *bed, enum pool_kind pool)
{
	struct table_hop *hops = calloc(CASTS, sizeof *hops);

	if (!hops)
		abort();
	for (int cast = 0; cast < CASTS; cast++) {
		struct table_hop *hop = &hops[cast];

		hop->mtu = cast == CAST_NOWHERE ? 0 : cast == CAST_NARROW ? NARROW_MTU : MTU;
		if (bed_wraps(pool)) {
			memcpy(hop->from, bed_outer_source(pool).ip, sizeof hop->from);
			continue;
		}
		hop->link.iface = cast == CAST_BROKEN ? IFACE_BROKEN : cast == CAST_ANOTHER ? IFACE_ANOTHER : LOOPBACK;
		memcpy(hop->link.mac, bed_backend_mac, sizeof hop->link.mac);
	}
	bed->table->pools[pool].forwarder = &forward_dsr;
	bed->table->pools[pool].dsr_encap = bed_wraps(pool) ? TABLE_IPIP : TABLE_L2;
	bed->table->pools[pool].hops = hops;
}

static void listener_make(struct table *table, uint16_t uid, enum pool_kind pool, struct addr addr)
{
	table->listeners[uid] =
		(struct table_listener){ .pool = (uint16_t)pool, .wildcard = addr_is_wildcard(&addr), .addr = addr };
}

static void table_make(struct bed *bed)
{
	struct table *table = bed->table = calloc(1, sizeof *table);

	if (!table)
		abort();
	for (size_t i = 0; i < STATS_LISTENERS; i++)
		table->listeners[i].pool = TABLE_NONE;
	snapshot_make(bed);
	for (int pool = 0; pool < POOL_KINDS; pool++) {
		table->pools[pool].forwarder = pool == POOL_NAT ? &forward_nat_follow : &forward_tunnel;
		table->pools[pool].tunnel_local =
			addr_of(bed_outer_v6((enum pool_kind)pool) ? "[2001:db8:1::1]:1" : "10.1.0.1:1");
		table->pools[pool].tunnel_local.port = (uint16_t)(TUNNEL_PORT + pool);
		table->pools[pool].backend_by_addr = backend_by_addr_new(&table->snapshot->pools[pool]);
		if (!table->pools[pool].backend_by_addr)
			abort();
		keys_make(&table->pools[pool]);
		for (int v6 = 0; v6 < 2; v6++)
			if (bed_listens((enum pool_kind)pool, v6))
				listener_make(table, bed_listener((enum pool_kind)pool, v6), (enum pool_kind)pool,
					      bed_service(bed, (enum pool_kind)pool, v6));
		if (pool == POOL_STATELESS)
			embed_pool_make(bed, POOL_STATELESS);
		if (bed_is_dsr((enum pool_kind)pool))
			hops_make(bed, (enum pool_kind)pool);
		if (pool == POOL_LEARNED)
			learned_make(bed);
		else
			sessions_make(bed, (enum pool_kind)pool);
	}
	listener_make(table, 2 * POOL_KINDS, POOL_NODE_ID, addr_of("0.0.0.0:5700"));
	bad_sources_make(bed);
}

static struct fast_hop hop_make(const uint8_t *to, uint8_t device, uint16_t mtu)
{
	struct fast_hop hop = { .mtu = mtu, .device = device };

	memcpy(hop.to, to, sizeof hop.to);
	memcpy(hop.from, bed_mac, sizeof hop.from);
	return hop;
}

enum { HOP_GATEWAY, HOP_BACKEND, HOP_NARROW, HOP_BROKEN, HOP_ANOTHER };

static struct fast_route route_make(const char *text, unsigned bits, uint16_t hop)
{
	const struct addr addr = addr_of(text);
	uint8_t mask[16] = { 0 };

	for (unsigned i = 0; i < bits; i++)
		mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
	return (struct fast_route){ fast_ip_of(addr.ip), fast_ip_of(mask), hop, { 0 } };
}

static void net_make(struct bed *bed)
{
	static const struct host_prefix at[] = {
		{ { .ip = { [10] = 0xff, 0xff, 10, 1, 0, 1 } }, 32 },
		{ { .ip = { [10] = 0xff, 0xff, 10, 9, 0, 1 } }, 32 },
		{ { .ip = { [10] = 0xff, 0xff, 10, 66, 0, 0 } }, 16 },
		{ { .ip = { [10] = 0xff, 0xff, 127 } }, 8 },
		{ { .ip = { [15] = 1 } }, 128 },
	};
	static const struct host_addrs host = { (struct host_prefix *)at, sizeof at / sizeof *at };
	static struct fast_neighbour neighbours[2 * CASTS];
	struct fast_net *net = bed->net = calloc(1, sizeof *net);

	if (!net)
		abort();
	net->host = &host;
	for (uint32_t device = 0; device <= DEVICE_BROKEN; device++) {
		net->interfaces[device].ifindex = device ? IFACE_ANOTHER - DEVICE_ANOTHER + device : LOOPBACK;
		memcpy(net->interfaces[device].mac, bed_mac, sizeof bed_mac);
	}
	net->interface_count = DEVICE_BROKEN + 1;
	net->hops[HOP_GATEWAY] = hop_make(bed_gateway_mac, 0, MTU);
	net->hops[HOP_BACKEND] = hop_make(bed_backend_mac, 0, MTU);
	net->hops[HOP_NARROW] = hop_make(bed_backend_mac, 0, NARROW_MTU);
	net->hops[HOP_BROKEN] = hop_make(bed_backend_mac, DEVICE_BROKEN, MTU);
	net->hops[HOP_ANOTHER] = hop_make(bed_backend_mac, DEVICE_ANOTHER, MTU);
	for (int cast = 0; cast < CASTS; cast++) {
		const uint16_t hop = cast == CAST_NARROW    ? HOP_NARROW
				     : cast == CAST_BROKEN  ? HOP_BROKEN
				     : cast == CAST_ANOTHER ? HOP_ANOTHER
							    : HOP_BACKEND;
		for (int v6 = 0; v6 < 2; v6++)
			neighbours[net->neighbour_count++] = (struct fast_neighbour){
				fast_ip_of(
					bed_backend_addr(v6 ? POOL_NODE_ID_HASHED : POOL_NODE_ID, (enum cast)cast).ip),
				hop
			};
	}
	net->neighbours = neighbours;
	/* 198.51.100.0/24 is where nobody knows the way, 203.0.113.0/24 is narrow. */
	net->routes[0][0] = route_make("10.2.0.0:1", 96 + 24, FAST_NO_HOP);
	net->routes[0][1] = route_make("198.51.100.0:1", 96 + 24, FAST_NO_HOP);
	net->routes[0][2] = route_make("203.0.113.0:1", 96 + 24, HOP_NARROW);
	net->routes[0][3] = route_make("0.0.0.0:1", 96, HOP_GATEWAY);
	net->route_count[0] = 4;
	net->routes[1][0] = route_make("[2001:db8:2::]:1", 64, FAST_NO_HOP);
	net->routes[1][1] = route_make("[2000::]:1", 3, HOP_GATEWAY);
	net->route_count[1] = 2;
}

static void fill_spare(struct bed *bed)
{
	static struct fast_hashing hashing;
	static bool hashed[STATS_POOLS];
	const struct fast_fill fill = { bed->table, bed->net, bed->cids.key, bed->cids.generation, hashed, 1 };

	fast_hashing_look(&hashing, fast_program_slots(bed->program), bed->table, 0, hashed);
	if (fast_fill(fast_program_spare_table(bed->program), &fill) != 0)
		abort();
}

int bed_publish(struct bed *bed)
{
	fill_spare(bed);
	return fast_program_publish(bed->program);
}

int bed_overwrite(struct bed *bed)
{
	const struct fast_control *control = fast_program_control(bed->program);
	struct fast_table *spare = fast_program_spare_table(bed->program);

	fill_spare(bed);
	memcpy(control->table ? spare + 1 : spare - 1, spare, sizeof *spare);
	return 0;
}

static void publish(struct bed *bed)
{
	struct fast_control *control = fast_program_control(bed->program);

	control->alive_until_ns = UINT64_MAX;
	for (int pool = 0; pool < POOL_KINDS; pool++)
		for (int cast = 0; cast < CASTS; cast++)
			control->reads_v2[bed_uid((enum pool_kind)pool, (enum cast)cast)] = cast != CAST_OLD;
	(void)bed_publish(bed);
}

/* The counts of one CPU are read, so this thread stays on it. */
static void stay(struct bed *bed)
{
	cpu_set_t cpus;

	bed->cpu = (unsigned)sched_getcpu();
	CPU_ZERO(&cpus);
	CPU_SET(bed->cpu, &cpus);
	if (sched_setaffinity(0, sizeof cpus, &cpus) != 0)
		abort();
}

void bed_leave(struct bed *bed)
{
	cpu_set_t cpus;

	(void)bed;
	CPU_ZERO(&cpus);
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
		CPU_SET(cpu, &cpus);
	(void)sched_setaffinity(0, sizeof cpus, &cpus);
}

int bed_open(struct bed *bed, uint64_t seed, char why[static EBPF_WHY_OCTETS])
{
	int err;

	*bed = (struct bed){ .dice = { seed } };
	err = fast_program_load(&bed->program, why);
	for (uint8_t device = 0; !err && device < 2; device++)
		err = fast_program_add_device(bed->program, device, LOOPBACK);
	if (err) {
		fast_program_free(bed->program);
		return err;
	}
	stay(bed);
	bed->cids = (struct fast_cids){ fast_program_cids(bed->program), dice_roll(&bed->dice), 7 };
	table_make(bed);
	net_make(bed);
	publish(bed);
	return 0;
}

void bed_close(struct bed *bed)
{
	struct learned *learned = bed->table->pools[POOL_LEARNED].learned->cids;
	void *memory = learned->block;

	fast_program_free(bed->program);
	free(bed->net);
	table_free(bed->table);
	free(memory);
}

void bed_run(struct bed *bed, const uint8_t *frame, size_t octets, struct outcome *out)
{
	const int action = fast_program_try(bed->program, frame, octets, out->frame, sizeof out->frame, &out->octets);

	if (action < 0) {
		fprintf(stderr, "BPF_PROG_TEST_RUN of %zu octets: %s\n", octets, strerror(-action));
		abort();
	}
	out->action = (unsigned)action;
}

const struct fast_counts *bed_counts(const struct bed *bed)
{
	return fast_program_counts(bed->program, bed->cpu);
}
