#include "bench/programs/core/flow_bed.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench/programs/core/measure.h"
#include "bench/programs/load/record.h"
#include "control/table_build.h"
#include "control/table_spec.h"
#include "io/messages.h"

enum { PORT_FIRST = 40684, PORT_LAST = 40691, CID_AT = 11 };

/* In the place of sockets: does all that they do to send, but the system call. */
struct kernel {
	struct io io; /* first */
	struct messages messages;
	size_t sent;
};

static int kernel_send(struct io *io, int handle, const struct io_send *sends, const struct gso *groups, size_t first)
{
	struct kernel *kernel = (struct kernel *)io;

	(void)handle;
	(void)first;
	messages_write(&kernel->messages, sends, groups);
	kernel->sent += groups->count;
	return (int)groups->count;
}

/* Nothing comes, and nothing is ever refused. */
static const struct io_ops kernel_ops = { .send = kernel_send };

/* What the control thread keeps. */
struct control {
	struct flow_bed bed;
	struct conf_backend backends[BED_SERVERS];
	char names[BED_SERVERS][8], pool_name[2], listener_name[2];
	struct conf_pool pool;
	struct conf_listener listener;
	struct conf conf;
	struct uids *pools, *servers;
	struct publisher publisher;
	struct path_shared shared;
	struct kernel kernel;
};

static struct control *current;

size_t flow_bed_sent(void)
{
	size_t since = current->kernel.sent;

	current->kernel.sent = 0;
	return since;
}

static void put_u32(uint8_t *at, uint32_t number)
{
	for (size_t i = 4; i-- > 0; number >>= 8)
		at[i] = (uint8_t)number;
}

static struct addr device_of(uint32_t session)
{
	struct addr device = { .ip = { [10] = 0xff, 0xff, 10 }, .port = (uint16_t)(1024 + session % 50000) };

	put_u32(device.ip + 12, 0x0a000000 + session);
	return device;
}

/* Its number and, less one, its index. */
static uint16_t server_of(uint32_t session)
{
	return (uint16_t)(1 + session % BED_SERVERS);
}

static void conf_fill(struct control *c)
{
	c->pool = (struct conf_pool){
		.name = strcpy(c->pool_name, "p"),
		.protocol = POOL_DTLS,
		.layout = { .scheme = CID_LAYOUT_ID,
			    .lbcid = { .length = RECORD_CID_OCTETS, .size = 1 },
			    .length = RECORD_CID_OCTETS },
		.nat = { .source_count = 1,
			 .port_first = PORT_FIRST,
			 .port_last = PORT_LAST,
			 .unproven_rate = 1250000 },
		.backends = c->backends,
		.backend_count = BED_SERVERS,
	};
	c->pool.nat.sources[0].bits = 10;
	measure_require(addr_parse_ip(&c->pool.nat.sources[0].addr, "127.64.0.0") == 0, "no address");
	for (size_t i = 0; i < BED_SERVERS; i++) {
		snprintf(c->names[i], sizeof c->names[i], "b%u", (unsigned)(i & 0xff));
		c->backends[i] = (struct conf_backend){ .name = c->names[i], .has_id = true, .weight = 100 };
		c->backends[i].id = (struct server_id){ 1, { (uint8_t)(i + 1) } };
		measure_require(addr_parse(&c->backends[i].addr, "127.0.0.1:6001") == 0, "no address");
		c->backends[i].addr.port = (uint16_t)(6001 + i);
	}
	measure_require(addr_parse(&c->listener.addr, "127.0.0.1:5684") == 0, "no address");
	c->listener.name = strcpy(c->listener_name, "l");
	c->conf = (struct conf){ .pools = &c->pool, .pool_count = 1, .listeners = &c->listener, .listener_count = 1 };
}

static void table_make(struct control *c)
{
	struct table *table;
	struct table_spec spec;

	conf_fill(c);
	c->pools = uids_new(4);
	c->servers = uids_new(2 * BED_SERVERS);
	measure_require(c->pools && c->servers && table_spec_make(&spec, &c->conf, c->pools, c->servers) == 0,
			"memory");
	table = table_build(&c->conf, &spec, &c->bed.listener, NULL);
	measure_require(table, "memory");
	table_spec_free(&spec);
	publisher_publish(&c->publisher, table);
	c->bed.table = table;
	c->bed.pool = &table->snapshot->pools[0];
}

static void path_make(struct control *c)
{
	static const uint8_t secret[16] = { 6 };
	const struct flows_limits limits = { .max_flows = (uint32_t)c->bed.flows,
					     .idle_ms = 300000,
					     .cid_idle_ms = 86400000 };

	c->shared = (struct path_shared){
		.publisher = &c->publisher,
		.flows = flows_new(secret),
		.service_addrs = service_addrs_new(),
		.limit = limit_new(STATS_POOLS, STATS_BACKENDS, secret),
		.allowances = allowances_new(STATS_POOLS, secret),
		.hello_key = hello_key_make(secret),
	};
	c->kernel.io.ops = &kernel_ops;
	c->bed.path = aligned_alloc(_Alignof(struct path), sizeof *c->bed.path);
	measure_require(c->bed.path && c->shared.flows && c->shared.service_addrs && c->shared.limit &&
				c->shared.allowances,
			"memory");
	memset(c->bed.path, 0, sizeof *c->bed.path);
	measure_require(flows_set_limits(c->shared.flows, c->bed.pool->uid, &limits) == 0, "memory");
	measure_require(path_begin(c->bed.path, &c->shared, &c->kernel.io) == 0, "memory");
	c->bed.path->clock_ms = c->bed.path->now_ms = 100000;
	for (int port = PORT_FIRST; port <= PORT_LAST; port++)
		c->bed.path->endpoint_handles[IO_V4][port] = port;
}

/* As after a handshake and an answer. */
static void flow_make(struct control *c, uint32_t session)
{
	const struct snapshot_backend *backend = &c->bed.pool->backends[server_of(session) - 1];
	struct flow_new what = { .key = { .kind = FLOW_CID, .pool = c->bed.pool->uid, .cid_len = RECORD_CID_OCTETS } };
	const struct ownership_pair device = { device_of(session), c->bed.listener };
	struct flow *flow, *leaving;
	uint8_t octets[BED_OCTETS];

	record_write(octets, sizeof octets, &(struct record){ server_of(session), session });
	what.key.cid = octets + CID_AT;
	what.backend = backend->uid;
	what.backend_addr = backend->addr;
	what.space = &c->bed.table->pools[0].space;
	what.endpoint_hash = session;
	what.source = &device.device;
	what.now_ms = c->bed.path->now_ms;
	flow = flows_make(c->shared.flows, &what);
	measure_require(flow && flow_lock(flow), "no flow");
	ownership_prove(&flow->session, &device);
	leaving = flows_promote(c->shared.flows, flow, FLOW_CLASS_CID, what.now_ms);
	flow_unlock(flow);
	measure_require(!leaving, "a flow had to make room");
}

void flow_bed_free(void)
{
	struct control *c = current;

	if (!c)
		return;
	path_end(c->bed.path);
	free(c->bed.path);
	publisher_publish(&c->publisher, NULL);
	flows_free(c->shared.flows);
	service_addrs_free(c->shared.service_addrs);
	limit_free(c->shared.limit);
	allowances_free(c->shared.allowances);
	uids_free(c->pools);
	uids_free(c->servers);
	free(c);
	current = NULL;
	rcu_unregister_thread();
}

struct flow_bed *flow_bed_get(size_t flows)
{
	if (current && current->bed.flows == flows)
		return &current->bed;
	flow_bed_free();
	rcu_register_thread();
	current = measure_alloc(1, sizeof *current);
	current->bed.flows = flows;
	current->bed.dice = (struct dice){ 6 };
	table_make(current);
	path_make(current);
	for (uint32_t session = 0; session < flows; session++)
		flow_make(current, session);
	measure_require(flows_count(current->shared.flows, current->bed.pool->uid).flows[FLOW_CLASS_CID] == flows,
			"not all flows are of sessions");
	for (size_t i = 0; i < IO_BATCH; i++) {
		struct io_datagram *datagram = &current->bed.datagrams[i];

		*datagram = (struct io_datagram){ .data = current->bed.octets[i], .len = BED_OCTETS };
		record_write(datagram->data, BED_OCTETS, &(struct record){ 1, 0 });
		memcpy(datagram->local, current->listener.addr.ip, sizeof datagram->local);
	}
	return &current->bed;
}

void flow_bed_receive(struct flow_bed *bed)
{
	for (size_t i = 0; i < IO_BATCH; i++) {
		const uint32_t session = (uint32_t)((dice_roll(&bed->dice) >> 32) * bed->flows >> 32);

		record_rename(bed->octets[i], &(struct record){ server_of(session), session });
		bed->datagrams[i].from = device_of(session);
	}
}
