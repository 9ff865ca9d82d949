/* The record walk and the opening of CIDs, each alone. */
#include <stdlib.h>

#include "bench/programs/core/datagrams.h"
#include "bench/programs/core/groups.h"
#include "bench/programs/core/pools.h"
#include "common/cid.h"

enum { BACKENDS = 64 };

struct walk {
	struct datagrams datagrams;
	struct dtls_view views[DATAGRAMS];
	const struct snapshot_pool *pool;
};

/* What the loop itself costs: the same of every case with datagrams. */
static uint64_t read_first(void *ctx, size_t operations)
{
	const struct walk *of = ctx;
	uint64_t sum = 0;

	for (size_t i = 0; i < operations; i++)
		sum += *datagrams_at(&of->datagrams, i)->data;
	return sum;
}

static uint64_t walk_all(void *ctx, size_t operations)
{
	const struct walk *of = ctx;
	uint64_t sum = 0;

	for (size_t i = 0; i < operations; i++) {
		const struct datagram *datagram = datagrams_at(&of->datagrams, i);
		struct dtls_view view;

		dtls_walk(&view, datagram->data, datagram->len);
		sum += view.kind + view.cid_at;
	}
	return sum;
}

static uint64_t open_all(void *ctx, size_t operations)
{
	const struct walk *of = ctx;
	uint64_t sum = 0;

	for (size_t i = 0; i < operations; i++) {
		const struct datagram *datagram = datagrams_at(&of->datagrams, i);
		struct cid_opened opened;

		cid_open(&opened, &of->pool->layout, &of->views[i & (of->datagrams.count - 1)], datagram->data,
			 datagram->len);
		sum += opened.result + opened.id.octets[0];
	}
	return sum;
}

static struct walk *walk_new(enum datagram_form form, const struct core_case *this, enum pools_layout layout)
{
	struct walk *of = measure_alloc(1, sizeof *of);

	of->pool = pools_get(layout, BACKENDS);
	datagrams_make(&of->datagrams, form, this->octets, of->pool, false);
	for (size_t i = 0; i < of->datagrams.count; i++)
		dtls_walk(&of->views[i], of->datagrams.at[i].data, of->datagrams.at[i].len);
	return of;
}

static void walk_end(struct walk *of)
{
	datagrams_free(&of->datagrams);
	free(of);
}

static void empty_case(const struct core_case *this, enum measure_effort effort)
{
	struct walk *of = walk_new(FORM_CID, this, POOLS_NODE_ID);

	measure(this, effort, of->datagrams.count, read_first, of);
	walk_end(of);
}

static void walk_case(const struct core_case *this, enum measure_effort effort)
{
	static const enum dtls_kind kinds[] = {
		[FORM_CID] = DTLS_CID,     [FORM_FLIGHT] = DTLS_CID,  [FORM_HELLO] = DTLS_HELLO,
		[FORM_UNIFIED] = DTLS_CID, [FORM_PLAIN] = DTLS_OTHER,
	};
	struct walk *of = walk_new((enum datagram_form)this->of, this, POOLS_NODE_ID);

	for (size_t i = 0; i < of->datagrams.count; i++)
		measure_require(this->of == FORM_MIX || of->views[i].kind == kinds[this->of], this->name);
	measure(this, effort, of->datagrams.count, walk_all, of);
	walk_end(of);
}

static void open_case(const struct core_case *this, enum measure_effort effort)
{
	struct walk *of = walk_new(FORM_CID, this, (enum pools_layout)this->of);
	struct cid_opened opened;

	for (size_t i = 0; i < of->datagrams.count; i++) {
		cid_open(&opened, &of->pool->layout, &of->views[i], of->datagrams.at[i].data, of->datagrams.at[i].len);
		measure_require(opened.result == (this->of == POOLS_HASH ? CID_HASHED : CID_OPENED), this->name);
		measure_require(this->of == POOLS_HASH ||
					snapshot_backend_of_id(of->pool, &opened.id) != SNAPSHOT_NO_BACKEND,
				this->name);
	}
	measure(this, effort, of->datagrams.count, open_all, of);
	walk_end(of);
}

static const struct core_case cases[] = {
	{ "empty/loop", empty_case, .octets = 100 },
	{ "walk/cid", walk_case, FORM_CID, .octets = 100 },
	{ "walk/flight-5", walk_case, FORM_FLIGHT, .octets = FLIGHT_LEAST_OCTETS },
	{ "walk/client-hello", walk_case, FORM_HELLO, .octets = 100 },
	{ "walk/unified", walk_case, FORM_UNIFIED, .octets = 100 },
	{ "walk/no-cid", walk_case, FORM_PLAIN, .octets = 100 },
	{ "walk/mix", walk_case, FORM_MIX, .octets = FLIGHT_LEAST_OCTETS },
	{ "open/hash", open_case, POOLS_HASH, .octets = 100 },
	{ "open/node-id", open_case, POOLS_NODE_ID, .octets = 100 },
	{ "open/plain-2+6", open_case, POOLS_PLAIN_2_6, .octets = 100 },
	{ "open/single-pass-4+12", open_case, POOLS_SINGLE_4_12, .octets = 100 },
	{ "open/four-pass-2+6", open_case, POOLS_FOUR_2_6, .octets = 100 },
	{ "open/four-pass-3+4", open_case, POOLS_FOUR_3_4, .octets = 100 },
	{ "open/four-pass-9+9", open_case, POOLS_FOUR_9_9, .octets = 100 },
	{ "open/four-pass-15+4", open_case, POOLS_FOUR_15_4, .octets = 100 },
};

const struct core_group core_walk = { cases, sizeof cases / sizeof *cases };
