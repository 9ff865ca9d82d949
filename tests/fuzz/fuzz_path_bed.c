#include "tests/fuzz/fuzz_path_bed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <urcu-qsbr.h>

#include "control/flow_home.h"
#include "control/table_build.h"
#include "io/gso.h"
#include "path/batch.h"
#include "tests/simulation/path/grace.h"

enum { LISTENERS_AT = 1000, ENDPOINTS_AT = 100000 }; /* handles */

static const uint8_t secret[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
static char *const backend_names[BED_BACKENDS] = { "a", "b", "c" };
static char *const listener_names[BED_LISTENERS] = { "l0", "l1", "l2" };
static char *const pool_names[BED_POOLS] = { "dtls", "udp" };

/* What outlives an input: filling the slots of a table takes long, and so does a struct path. */
static struct {
	struct uids *pools, *backends, *listeners;
	struct table *first_table;
	struct path *path;
	void *cids;                            /* memory of their table */
	struct pending_cids *volatile pending; /* for LeakSanitizer, which does not look into pages */
} lasting;

static struct bed *current;

struct addr bed_service(int service)
{
	static const struct {
		uint8_t host;
		uint16_t port;
	} services[BED_SERVICES] = { { 1, 5684 }, { 1, 5685 }, { 2, 5685 }, { 1, 5683 } };

	return (struct addr){ .ip = { [10] = 0xff, 0xff, 192, 0, 2, services[service].host },
			      .port = services[service].port };
}

static int listener_of(int service)
{
	static const int listeners[BED_SERVICES] = { 0, 1, 1, 2 };

	return listeners[service];
}

int bed_pool(int service)
{
	return listener_of(service) == 2 ? BED_UDP : BED_DTLS;
}

static int service_of(int listener, const uint8_t *local)
{
	for (int service = 0; service < BED_SERVICES; service++) {
		const struct addr addr = bed_service(service);

		if (listener_of(service) == listener && (listener == 1) == (local != NULL) &&
		    (!local || memcmp(local, addr.ip, sizeof addr.ip) == 0))
			return service;
	}
	return -1;
}

uint8_t bed_server_id(int backend)
{
	return (uint8_t)(backend + 1);
}

int bed_backend_at(const struct bed *bed, int pool, const struct addr *addr)
{
	for (int i = 0; i < BED_BACKENDS; i++)
		if (addr_equal(&bed->backends[pool][i].addr, addr))
			return i;
	return -1;
}

static int send_one(struct io *io, int handle, const struct io_send *sends, const struct gso *groups, size_t first)
{
	const struct io_send *send = &sends[groups->order[groups->sends[first].at]];
	const bool sent = current->refusals == 0;
	struct addr endpoint = { .port = (uint16_t)(handle - ENDPOINTS_AT) };

	(void)io;
	current->refusals -= !sent;
	if (handle >= ENDPOINTS_AT) {
		memcpy(endpoint.ip, send->local, sizeof endpoint.ip);
		current->up(current, send, &endpoint, sent);
	} else {
		current->down(current, send, service_of(handle - LISTENERS_AT, send->local), sent);
	}
	return sent ? 1 : -ENOBUFS;
}

static const struct io_ops ops = { .send = send_one };
static struct io io = { &ops };

static void lasting_begin(void)
{
	static const struct path_shared none;

	if (lasting.path)
		return;
	rcu_register_thread();
	lasting.pools = uids_new(BED_POOLS);
	lasting.backends = uids_new(BED_POOLS * BED_BACKENDS);
	lasting.listeners = uids_new(STATS_LISTENERS);
	lasting.path = aligned_alloc(_Alignof(struct path), sizeof *lasting.path);
	lasting.cids = aligned_alloc(64, (learned_octets(BED_MAX_CIDS) + 63) / 64 * 64);
	if (!lasting.pools || !lasting.backends || !lasting.listeners || !lasting.path || !lasting.cids)
		abort();
	memset(lasting.path, 0, sizeof *lasting.path);
	if (path_begin(lasting.path, &none, &io))
		abort();
	/* Numbers of service addresses are never taken back, and handshakes are noted where there are no flows. */
	lasting.path->service_addrs = service_addrs_new();
	lasting.path->handshakes = handshakes_new(secret);
	if (!lasting.path->service_addrs || !lasting.path->handshakes)
		abort();
	lasting.pending = handshakes_pending(lasting.path->handshakes);
	for (int i = 0; i < BED_LISTENERS; i++)
		lasting.path->listener_handles[i] = LISTENERS_AT + i;
	for (int family = 0; family < IO_FAMILIES; family++)
		for (int port = 0; port < 1 << 16; port++)
			lasting.path->endpoint_handles[family][port] = ENDPOINTS_AT + port;
}

static struct conf_nat nat_of(const struct bed *bed)
{
	return (struct conf_nat){
		.rebind = bed->rebind,
		.sources = { { { .ip = { [10] = 0xff, 0xff, 127, 64 } }, 10 }, { { .ip = { 0xfd, 1 } }, 64 } },
		.source_count = 2,
		.port_first = 40684,
		.port_last = 40691,
		.idle_s = 300,
		.cid_idle_s = 86400,
		.max_flows = bed->max_flows,
		.contest = bed->contest,
		.endpoint = bed->endpoint,
		.unproven_rate = bed->unproven_rate,
	};
}

static void pool_write(const struct bed *bed, int at, struct conf_pool *pool, struct conf_backend *backends)
{
	*pool = (struct conf_pool){ .name = pool_names[at], .nat = nat_of(bed), .backends = backends };
	if (at == BED_UDP)
		pool->protocol = POOL_UDP;
	else if (bed->learns)
		pool->layout = (struct cid_layout){ .scheme = CID_LAYOUT_LEARNED };
	else
		pool->layout = (struct cid_layout){ .scheme = CID_LAYOUT_ID,
						    .lbcid = { .length = BED_CID_OCTETS, .size = 1 },
						    .length = BED_CID_OCTETS };
	if (at == BED_DTLS)
		pool->hello_rate = (struct conf_hello_rate){ .prefix = bed->hello_rate };
	for (int i = 0; i < BED_BACKENDS; i++)
		if (!bed->backends[at][i].absent)
			backends[pool->backend_count++] = (struct conf_backend){
				.name = backend_names[i],
				.has_id = at == BED_DTLS && !bed->learns,
				.id = { 1, { bed_server_id(i) } },
				.addr = bed->backends[at][i].addr,
				.weight = 100,
				.admin = bed->backends[at][i].admin,
			};
}

static void spec_note(struct bed *bed, struct table_spec *spec)
{
	const struct flows_limits limits = { bed->max_flows, 300000, 86400000 };

	for (size_t i = 0; i < spec->backend_count; i++) {
		const struct addr *addr = &spec->backends[i].addr;
		int pool = bed_backend_at(bed, BED_DTLS, addr) >= 0 ? BED_DTLS : BED_UDP;
		struct bed_backend *backend = &bed->backends[pool][bed_backend_at(bed, pool, addr)];

		backend->uid = spec->backends[i].uid;
		spec->backends[i].health = backend->health;
	}
	for (int i = 0; i < BED_POOLS; i++) {
		bed->pool_uids[i] = spec->pools[i].uid;
		if (flows_set_limits(bed->path->flows, bed->pool_uids[i], &limits))
			abort();
	}
}

void bed_reload(struct bed *bed)
{
	const struct table *previous = publisher_read(&bed->publisher);
	struct conf_backend backends[BED_POOLS][BED_BACKENDS];
	struct conf_listener listeners[BED_LISTENERS];
	struct conf_pool pools[BED_POOLS];
	struct conf conf = {
		.pools = pools, .pool_count = BED_POOLS, .listeners = listeners, .listener_count = BED_LISTENERS
	};
	/* Of the wildcard listener. */
	struct host_prefix host[] = { { bed_service(1), 32 }, { bed_service(2), 32 } };
	struct table_spec spec;
	struct table *table;

	memcpy(conf.hash_key, secret, sizeof secret);
	for (int i = 0; i < BED_POOLS; i++)
		pool_write(bed, i, &pools[i], backends[i]);
	for (int i = 0; i < BED_LISTENERS; i++) {
		listeners[i] = (struct conf_listener){ .name = listener_names[i] };
		listeners[i].pool = i == 2 ? BED_UDP : BED_DTLS;
		listeners[i].addr = i == 1 ? (struct addr){ .ip = { [10] = 0xff, 0xff }, .port = 5685 }
					   : bed_service(i == 2 ? 3 : 0);
		bed->listener_uids[i] = uids_give(lasting.listeners, 0, listener_names[i]);
	}
	if (table_spec_make(&spec, &conf, lasting.pools, lasting.backends))
		abort();
	host[0].addr.port = host[1].addr.port = 0;
	spec.host = (struct host_addrs){ host, sizeof host / sizeof host[0] };
	spec_note(bed, &spec);
	if (bed->learns)
		spec.learned[BED_DTLS].of[LEARNED_CIDS] = &bed->learned;
	table = table_build(&conf, &spec, bed->listener_uids, previous ? previous : lasting.first_table);
	if (!table)
		abort();
	if (!lasting.first_table)
		lasting.first_table = table_build(&conf, &spec, bed->listener_uids, table);
	publisher_publish(&bed->publisher, table);
	table_spec_free(&spec);
	(void)flow_home_follow(bed->path->flows, publisher_read(&bed->publisher));
	grace_end();
}

static void start(struct bed *bed)
{
	struct path *path = bed->path;

	path->flows = flows_new(secret);
	path->limit = limit_new(BED_POOLS, BED_POOLS * BED_BACKENDS, secret);
	path->allowances = allowances_new(BED_POOLS, secret);
	path->hello_key = hello_key_make(secret);
	if (!path->flows || !path->limit || !path->allowances)
		abort();
	memset(&path->stats, 0, sizeof path->stats);
	path->publisher = &bed->publisher;
	bed_reload(bed);
}

static void stop(struct bed *bed)
{
	publisher_publish(&bed->publisher, NULL);
	grace_end();
	flows_free(bed->path->flows);
	limit_free(bed->path->limit);
	allowances_free(bed->path->allowances);
}

static struct addr backend_addr(int pool, int backend)
{
	if (backend == 2)
		return (struct addr){ .ip = { 0xfd, [14] = (uint8_t)pool, [15] = (uint8_t)backend }, .port = 6000 };
	return (struct addr){ .ip = { [10] = 0xff, 0xff, 10, 0, (uint8_t)pool, (uint8_t)backend }, .port = 6000 };
}

void bed_begin(struct bed *bed)
{
	lasting_begin();
	current = bed;
	bed->path = lasting.path;
	bed->publisher = (struct publisher){ NULL };
	for (int pool = 0; pool < BED_POOLS; pool++)
		for (int i = 0; i < BED_BACKENDS; i++)
			bed->backends[pool][i] = (struct bed_backend){ .health = BACKEND_UP,
								       .admin = BACKEND_READY,
								       .addr = backend_addr(pool, i) };
	memset(lasting.cids, 0, learned_octets(BED_MAX_CIDS));
	learned_begin(&bed->learned, lasting.cids, BED_MAX_CIDS, secret);
	start(bed);
}

void bed_end(struct bed *bed)
{
	stop(bed);
}

void bed_restart(struct bed *bed)
{
	stop(bed);
	if (learned_resume(&bed->learned, lasting.cids, learned_octets(BED_MAX_CIDS)))
		abort();
	start(bed);
}

void bed_sweep(struct bed *bed)
{
	for (int i = 0; i < FLOWS_SWEEP_CALLS; i++)
		flows_sweep(bed->path->flows, (uint32_t)bed->now_ms);
	grace_end();
}

void bed_uplink(struct bed *bed, int service, struct io_datagram *datagrams, size_t count)
{
	bed->path->clock_ms = bed->now_ms;
	bed->path->now_ms = (uint32_t)bed->now_ms;
	batch_uplink(bed->path, publisher_read(&bed->publisher), bed->listener_uids[listener_of(service)], datagrams,
		     count);
	io_flush(bed->path->outbox);
	grace_end();
}

void bed_reply(struct bed *bed, uint16_t port, struct io_datagram *datagrams, size_t count)
{
	bed->path->clock_ms = bed->now_ms;
	bed->path->now_ms = (uint32_t)bed->now_ms;
	batch_reply(bed->path, publisher_read(&bed->publisher), port, datagrams, count);
	io_flush(bed->path->outbox);
	grace_end();
}
