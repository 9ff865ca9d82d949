/* Whole decisions: walk and route, of good datagrams and of those that are refused. */
#include <stdlib.h>

#include "bench/programs/core/datagrams.h"
#include "bench/programs/core/groups.h"
#include "bench/programs/core/pools.h"
#include "common/route.h"

enum { BACKENDS = 64, MANY_BACKENDS = 1000, BATCH = 32 };

struct decide {
	struct datagrams datagrams;
	const struct snapshot_pool *pool;
};

/* What a worker does first with what it has received. */
static inline void take(struct route_in *in, const struct decide *of, size_t at)
{
	const struct datagram *datagram = datagrams_at(&of->datagrams, at);

	in->data = datagram->data;
	in->len = datagram->len;
	in->source = datagram->from;
	in->hint = ROUTE_NO_HINT;
}

static uint64_t take_batches(void *ctx, size_t operations)
{
	const struct decide *of = ctx;
	struct route_in in[BATCH];
	uint64_t sum = 0;

	for (size_t i = 0; i < operations; i += BATCH) {
		for (size_t j = 0; j < BATCH; j++)
			take(&in[j], of, i + j);
		for (size_t j = 0; j < BATCH; j++)
			sum += in[j].data[0] + in[j].source.port;
	}
	return sum;
}

static uint64_t route_singly(void *ctx, size_t operations)
{
	const struct decide *of = ctx;
	uint64_t sum = 0;

	for (size_t i = 0; i < operations; i++) {
		struct route_out out;
		struct route_in in;

		take(&in, of, i);
		dtls_walk(&in.view, in.data, in.len);
		route(&out, of->pool, &in);
		sum += out.verdict + out.backend;
	}
	return sum;
}

static uint64_t route_batches(void *ctx, size_t operations)
{
	const struct decide *of = ctx;
	struct route_out out[BATCH];
	struct route_in in[BATCH];
	uint64_t sum = 0;

	for (size_t i = 0; i < operations; i += BATCH) {
		for (size_t j = 0; j < BATCH; j++) {
			take(&in[j], of, i + j);
			dtls_walk(&in[j].view, in[j].data, in[j].len);
		}
		route_batch(out, of->pool, in, BATCH);
		for (size_t j = 0; j < BATCH; j++)
			sum += out[j].verdict + out[j].backend;
	}
	return sum;
}

/* True if all are decided so. */
static bool all_are(const struct decide *of, enum verdict verdict)
{
	for (size_t i = 0; i < of->datagrams.count; i++) {
		struct route_out out;
		struct route_in in;

		take(&in, of, i);
		dtls_walk(&in.view, in.data, in.len);
		route(&out, of->pool, &in);
		if (out.verdict != verdict)
			return false;
	}
	return true;
}

/* For rule 0. */
enum sources {
	SOURCES_ANY,
	SOURCES_SERVER_PORT, /* with the port that all servers have, so that it takes a look at the table */
	SOURCES_SERVER,      /* a server's */
};

struct decision {
	enum datagram_form form;
	enum pools_layout layout;
	enum verdict verdict; /* VERDICTS: not all are decided alike */
	bool v6;
	enum sources sources;
};

static void set_sources(struct datagrams *datagrams, const struct snapshot_pool *pool, enum sources sources)
{
	for (size_t i = 0; sources != SOURCES_ANY && i < datagrams->count; i++) {
		const struct addr *server = &pool->backends[i % pool->backend_count].addr;

		datagrams->at[i].from.port = server->port;
		if (sources == SOURCES_SERVER)
			datagrams->at[i].from = *server;
	}
}

static void decide_case(const struct core_case *this, enum measure_effort effort, const struct decision *what)
{
	struct decide *of = measure_alloc(1, sizeof *of);

	of->pool = pools_get(what->layout, this->backends);
	datagrams_make(&of->datagrams, what->form, this->octets, of->pool, what->v6);
	set_sources(&of->datagrams, of->pool, what->sources);
	measure_require(what->verdict == VERDICTS || all_are(of, what->verdict), this->name);
	measure(this, effort, of->datagrams.count, this->batch == 1 ? route_singly : route_batches, of);
	datagrams_free(&of->datagrams);
	free(of);
}

enum {
	NODE_ID,
	PLAIN_2_6,
	SINGLE_4_12,
	FOUR_2_6,
	FOUR_3_4,
	FOUR_9_9,
	FOUR_15_4,
	HASH,
	NONE,
	HELLO,
	HELLO_V6,
	NO_CID,
	NO_CID_V6,
	UNKNOWN,
	UNKNOWN_FOUR,
	FLIGHT,
	CIDS,
	MANY_SERVERS,
	SERVER_PORT,
	SERVER,
	MIX
};

static const struct decision routes[] = {
	[NODE_ID] = { FORM_CID, POOLS_NODE_ID, VERDICT_CID, false, SOURCES_ANY },
	[PLAIN_2_6] = { FORM_CID, POOLS_PLAIN_2_6, VERDICT_CID, false, SOURCES_ANY },
	[SINGLE_4_12] = { FORM_CID, POOLS_SINGLE_4_12, VERDICT_CID, false, SOURCES_ANY },
	[FOUR_2_6] = { FORM_CID, POOLS_FOUR_2_6, VERDICT_CID, false, SOURCES_ANY },
	[FOUR_3_4] = { FORM_CID, POOLS_FOUR_3_4, VERDICT_CID, false, SOURCES_ANY },
	[FOUR_9_9] = { FORM_CID, POOLS_FOUR_9_9, VERDICT_CID, false, SOURCES_ANY },
	[FOUR_15_4] = { FORM_CID, POOLS_FOUR_15_4, VERDICT_CID, false, SOURCES_ANY },
	[HASH] = { FORM_CID, POOLS_HASH, VERDICT_CID_HASHED, false, SOURCES_ANY },
	[NONE] = { FORM_CID, POOLS_NONE, VERDICT_HASH, false, SOURCES_ANY },
	[HELLO] = { FORM_HELLO, POOLS_NODE_ID, VERDICT_HASH, false, SOURCES_ANY },
	[HELLO_V6] = { FORM_HELLO, POOLS_NODE_ID, VERDICT_HASH, true, SOURCES_ANY },
	[NO_CID] = { FORM_PLAIN, POOLS_NODE_ID, VERDICT_HASH, false, SOURCES_ANY },
	[NO_CID_V6] = { FORM_PLAIN, POOLS_NODE_ID, VERDICT_HASH, true, SOURCES_ANY },
	[UNKNOWN] = { FORM_UNKNOWN, POOLS_NODE_ID, VERDICT_UNKNOWN_CID, false, SOURCES_ANY },
	[UNKNOWN_FOUR] = { FORM_UNKNOWN, POOLS_FOUR_15_4, VERDICT_UNKNOWN_CID, false, SOURCES_ANY },
	[FLIGHT] = { FORM_FLIGHT, POOLS_NODE_ID, VERDICT_CID, false, SOURCES_ANY },
	[CIDS] = { FORM_CIDS, POOLS_NODE_ID, VERDICT_CID, false, SOURCES_ANY },
	[MANY_SERVERS] = { FORM_CID, POOLS_NODE_ID_2, VERDICT_CID, false, SOURCES_ANY },
	[SERVER_PORT] = { FORM_CID, POOLS_NODE_ID_2, VERDICT_CID, false, SOURCES_SERVER_PORT },
	[SERVER] = { FORM_CID, POOLS_NODE_ID_2, VERDICT_BAD_SOURCE, false, SOURCES_SERVER },
	[MIX] = { FORM_MIX, POOLS_NODE_ID, VERDICTS, false, SOURCES_ANY },
};

static void route_case(const struct core_case *this, enum measure_effort effort)
{
	decide_case(this, effort, &routes[this->of]);
}

static void empty_case(const struct core_case *this, enum measure_effort effort)
{
	struct decide *of = measure_alloc(1, sizeof *of);

	datagrams_make(&of->datagrams, FORM_CID, this->octets, pools_get(POOLS_NODE_ID, BACKENDS), false);
	measure(this, effort, of->datagrams.count, take_batches, of);
	datagrams_free(&of->datagrams);
	free(of);
}

static void garbage_case(const struct core_case *this, enum measure_effort effort)
{
	static const enum verdict verdicts[] = {
		[FORM_CID] = VERDICT_CID,
		[FORM_FLIGHT] = VERDICT_CID,
		[FORM_HELLO] = VERDICT_HASH,
		[FORM_PLAIN] = VERDICT_HASH,
		[FORM_MANY] = VERDICT_HASH,
		[FORM_CIDS] = VERDICT_CID,
		[FORM_UNKNOWN] = VERDICT_UNKNOWN_CID,
		[FORM_FIRST_OCTET] = VERDICT_TYPE,
		[FORM_TYPE_28] = VERDICT_TYPE,
		[FORM_VERSION] = VERDICT_MALFORMED,
		[FORM_CUT] = VERDICT_MALFORMED,
		[FORM_CID_CUT] = VERDICT_UNKNOWN_CID,
		[FORM_FLIGHT_CUT] = VERDICT_MALFORMED,
		[FORM_EPOCH0] = VERDICT_EPOCH0_DATA,
		[FORM_RANDOM] = VERDICTS,
		[FORM_TINY] = VERDICT_MALFORMED,
		[FORM_TINY_MIXED] = VERDICT_MALFORMED,
		[FORM_TINY_CID] = VERDICT_UNKNOWN_CID,
		[FORM_MIXED] = VERDICT_MIXED,
	};

	decide_case(this, effort,
		    &(struct decision){ (enum datagram_form)this->of, POOLS_NODE_ID, verdicts[this->of], false,
					SOURCES_ANY });
}

#define SIZED(case_name, function, what, size, at_once)                                                                \
	{                                                                                                              \
		.name = case_name, .measure = function, .of = what, .octets = size, .batch = at_once,                  \
		.backends = BACKENDS                                                                                   \
	}
#define SOURCE(case_name, what)                                                                                        \
	{                                                                                                              \
		.name = "route/" case_name "/batch", .measure = route_case, .of = what, .octets = 100, .batch = BATCH, \
		.backends = MANY_BACKENDS                                                                              \
	}
#define ROUTE(name, of, octets)                                                                                        \
	SIZED("route/" name, route_case, of, octets, 1), SIZED("route/" name "/batch", route_case, of, octets, BATCH)
#define GARBAGE(name, form)                                                                                            \
	SIZED("garbage/" name "-100", garbage_case, form, 100, 1),                                                     \
		SIZED("garbage/" name "-1400", garbage_case, form, 1400, 1)

static const struct core_case route_cases[] = {
	{ "empty/batch", empty_case, .octets = 100, .batch = BATCH },
	ROUTE("node-id", NODE_ID, 100),
	ROUTE("flight-5", FLIGHT, FLIGHT_LEAST_OCTETS),
	ROUTE("plain-2+6", PLAIN_2_6, 100),
	ROUTE("single-pass-4+12", SINGLE_4_12, 100),
	ROUTE("four-pass-2+6", FOUR_2_6, 100),
	ROUTE("four-pass-3+4", FOUR_3_4, 100),
	ROUTE("four-pass-9+9", FOUR_9_9, 100),
	ROUTE("four-pass-15+4", FOUR_15_4, 100),
	ROUTE("hash", HASH, 100),
	ROUTE("cid-unread", NONE, 100),
	ROUTE("client-hello", HELLO, 100),
	ROUTE("client-hello-v6", HELLO_V6, 100),
	ROUTE("no-cid", NO_CID, 100),
	ROUTE("no-cid-v6", NO_CID_V6, 100),
	ROUTE("unknown-node-id", UNKNOWN, 100),
	ROUTE("unknown-four-pass-15+4", UNKNOWN_FOUR, 100),
	ROUTE("sixteen-cids", CIDS, 1400),
	SOURCE("any-source-1000-servers", MANY_SERVERS),
	SOURCE("server-port-1000-servers", SERVER_PORT),
	SOURCE("bad-source-1000-servers", SERVER),
	ROUTE("mix", MIX, FLIGHT_LEAST_OCTETS),
};

static const struct core_case garbage_cases[] = {
	GARBAGE("good-cid", FORM_CID),
	GARBAGE("good-client-hello", FORM_HELLO),
	GARBAGE("good-no-cid", FORM_PLAIN),
	GARBAGE("good-many-records", FORM_MANY),
	SIZED("garbage/good-sixteen-cids-1400", garbage_case, FORM_CIDS, 1400, 1),
	GARBAGE("unknown-cid", FORM_UNKNOWN),
	GARBAGE("first-octet", FORM_FIRST_OCTET),
	GARBAGE("type-28", FORM_TYPE_28),
	GARBAGE("version", FORM_VERSION),
	GARBAGE("cut", FORM_CUT),
	GARBAGE("cid-cut", FORM_CID_CUT),
	GARBAGE("flight-cut", FORM_FLIGHT_CUT),
	GARBAGE("epoch-0", FORM_EPOCH0),
	GARBAGE("random", FORM_RANDOM),
	GARBAGE("tiny", FORM_TINY),
	GARBAGE("tiny-mixed", FORM_TINY_MIXED),
	GARBAGE("tiny-cid", FORM_TINY_CID),
	SIZED("garbage/mixed-1400", garbage_case, FORM_MIXED, 1400, 1),
};

const struct core_group core_route = { route_cases, sizeof route_cases / sizeof *route_cases };
const struct core_group core_garbage = { garbage_cases, sizeof garbage_cases / sizeof *garbage_cases };
