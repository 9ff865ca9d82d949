/* Mode nat at many sessions: the look-up of their flows, and all that a worker does with a batch but its system
 * calls. */
#include "bench/programs/core/flow_bed.h"
#include "bench/programs/core/groups.h"
#include "common/route.h"
#include "path/batch.h"

static inline void take(struct route_in *in, const struct io_datagram *datagram)
{
	in->data = datagram->data;
	in->len = datagram->len;
	in->source = datagram->from;
	in->hint = ROUTE_NO_HINT;
	dtls_walk(&in->view, in->data, in->len);
}

static inline struct flow_key key_of(const struct flow_bed *bed, const struct route_out *out)
{
	return (struct flow_key){ .kind = FLOW_CID, .pool = bed->pool->uid, .cid_len = out->cid_len, .cid = out->cid };
}

/* What it costs to have a batch arrive: in all the others too. */
static uint64_t receive_only(void *ctx, size_t operations)
{
	struct flow_bed *bed = ctx;
	uint64_t sum = 0;

	for (size_t i = 0; i < operations; i += IO_BATCH) {
		flow_bed_receive(bed);
		for (size_t j = 0; j < IO_BATCH; j++)
			sum += bed->octets[j][12] + bed->datagrams[j].from.port;
	}
	return sum;
}

static uint64_t find_singly(void *ctx, size_t operations)
{
	struct flow_bed *bed = ctx;
	uint64_t sum = 0;

	for (size_t i = 0; i < operations; i += IO_BATCH) {
		flow_bed_receive(bed);
		for (size_t j = 0; j < IO_BATCH; j++) {
			struct route_out out;
			struct route_in in;

			take(&in, &bed->datagrams[j]);
			route(&out, bed->pool, &in);
			const struct flow_key key = key_of(bed, &out);
			sum += flows_find(bed->path->flows, &key)->backend;
		}
	}
	return sum;
}

/* As lb/path/batch.c does it. */
static uint64_t find_batches(void *ctx, size_t operations)
{
	struct flow_bed *bed = ctx;
	struct route_in in[IO_BATCH];
	struct route_out out[IO_BATCH];
	struct flow_key keys[IO_BATCH];
	uint32_t hashes[IO_BATCH];
	uint64_t sum = 0;

	for (size_t i = 0; i < operations; i += IO_BATCH) {
		flow_bed_receive(bed);
		for (size_t j = 0; j < IO_BATCH; j++)
			take(&in[j], &bed->datagrams[j]);
		route_batch(out, bed->pool, in, IO_BATCH);
		for (size_t j = 0; j < IO_BATCH; j++) {
			keys[j] = key_of(bed, &out[j]);
			hashes[j] = flows_hash_key(bed->path->flows, &keys[j]);
		}
		flows_prefetch_keys(bed->path->flows, hashes, IO_BATCH);
		for (size_t j = 0; j < IO_BATCH; j++)
			sum += flows_find_hashed(bed->path->flows, &keys[j], hashes[j])->backend;
	}
	return sum;
}

static uint64_t uplink_batches(void *ctx, size_t operations)
{
	struct flow_bed *bed = ctx;

	for (size_t i = 0; i < operations; i += IO_BATCH) {
		flow_bed_receive(bed);
		batch_uplink(bed->path, bed->table, bed->listener, bed->datagrams, IO_BATCH);
		io_flush(bed->path->outbox);
	}
	return flow_bed_sent();
}

enum { RECEIVE, SINGLE, BATCHED, UPLINK };

static void flow_case(const struct core_case *this, enum measure_effort effort)
{
	static const measure_work works[] = {
		[RECEIVE] = receive_only, [SINGLE] = find_singly, [BATCHED] = find_batches, [UPLINK] = uplink_batches
	};
	struct flow_bed *bed = flow_bed_get(this->flows);

	(void)flow_bed_sent();
	measure_require(uplink_batches(bed, IO_BATCH) == IO_BATCH, "not all that arrives is sent");
	measure(this, effort, this->flows, works[this->of], bed);
	rcu_quiescent_state();
}

#define STEP(case_name, what, count, at_once, is_slow)                                                                 \
	{                                                                                                              \
		.name = case_name, .measure = flow_case, .of = what, .octets = BED_OCTETS, .batch = at_once,           \
		.backends = BED_SERVERS, .flows = count, .slow = is_slow                                               \
	}
#define FLOWS(name, count, is_slow)                                                                                    \
	STEP("flow/receive-" name, RECEIVE, count, IO_BATCH, is_slow),                                                 \
		STEP("flow/single-" name, SINGLE, count, 1, is_slow),                                                  \
		STEP("flow/batch-" name, BATCHED, count, IO_BATCH, is_slow),                                           \
		STEP("flow/uplink-" name, UPLINK, count, IO_BATCH, is_slow)

static const struct core_case cases[] = {
	FLOWS("1k", 1000, false),     FLOWS("10k", 10000, false), FLOWS("100k", 100000, false),
	FLOWS("500k", 500000, false), FLOWS("1M", 1000000, true),
};

const struct core_group core_flow = { cases, sizeof cases / sizeof *cases };
