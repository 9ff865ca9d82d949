/* How the program comes to know what is published, and cidlb what the program has done. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "xdp/fast_priv.h"
#include "xdp/fill_parts.h"

enum { COUNT_MS = 1000 };

static void reads_v2_set(struct fast *fast, uint16_t uid, bool reads)
{
	__atomic_store_n(&fast_program_control(fast->program)->reads_v2[uid], reads, __ATOMIC_RELAXED);
}

/* Another address may be another server, which may not read what the one before could. */
static void backend_take(struct fast *fast, const struct snapshot_backend *backend)
{
	const uint16_t uid = backend->uid;

	fast->wanted[fast->in_use_count] = backend->addr;
	fast->in_use[fast->in_use_count++] = uid;
	if (addr_equal(&fast->addrs[uid], &backend->addr))
		return;
	fast->addrs[uid] = backend->addr;
	worker_hear_version(fast->workers, fast->worker_count, uid, PROXY2_V1);
	reads_v2_set(fast, uid, false);
}

static void backends_take(struct fast *fast, const struct table *table)
{
	fast->in_use_count = 0;
	for (size_t i = 0; i < table->snapshot->pool_count; i++) {
		const struct snapshot_pool *pool = &table->snapshot->pools[i];

		for (size_t j = 0; fast_handles(&table->pools[i]) && j < pool->backend_count; j++)
			backend_take(fast, &pool->backends[j]);
	}
}

/* What there is no room for goes through the sockets: nothing is wrong, but slow. */
static void left_out_tell(struct fast *fast, unsigned left_out)
{
	if (left_out > 0 && fast->left_out == 0)
		log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "fast_path", NULL, NULL,
					       LOG_FIELDS(LOG_NUMBER("left_out", left_out)) },
			   "no room in its tables for %u of the addresses, ids and routes: the sockets do what they "
			   "are for",
			   left_out);
	fast->left_out = left_out;
}

static void fill(struct fast *fast)
{
	const struct table *table = fast->table;
	const uint64_t digest = fast_homes_digest(fast, table);
	bool hashed[STATS_POOLS];

	backends_take(fast, table);
	fast->filled_ms = clock_ms();
	/* It has to see each table, also where the program rests. */
	fast_hashing_look(&fast->hashing, fast_program_slots(fast->program), table, fast->filled_ms, hashed);
	if (!fast_net_look(fast))
		return;
	if (digest != fast->homes_digest)
		fast_cache_empty(fast);
	fast->homes_digest = digest;
	const struct fast_fill what = { .table = table,
					.net = fast_around_net(fast->around),
					.key = fast->key,
					.hashed = hashed,
					.workers = fast->worker_count,
					.generation = atomic_load_explicit(&fast->generation, memory_order_relaxed) };
	const unsigned left_out = fast_fill(fast_program_spare_table(fast->program), &what);

	left_out_tell(fast, left_out + fast_around_left_out(fast->around));
	/* The start has shown that there is a grace period to be had. */
	(void)fast_program_publish(fast->program);
	fast_work(fast, FAST_REST_NETWORK);
}

/* Without a link that is kept the program ends with cidlb. It must not rest because this thread is held up. */
void fast_live_on(struct fast *fast)
{
	enum { MS_NS = 1000000, HELD_UP_S = 60 };
	const uint64_t linger_ms = 1000 * (uint64_t)(fast->linger_s ? fast->linger_s : HELD_UP_S);

	__atomic_store_n(&fast_program_control(fast->program)->alive_until_ns, (clock_ms() + linger_ms) * MS_NS,
			 __ATOMIC_RELAXED);
}

static void before_set(struct fast *fast)
{
	fast_count(fast);
	memcpy(&fast->before, &fast->now, sizeof fast->before);
}

/* What a backend answered before its address became another one says nothing of it. */
void fast_follow(struct fast *fast, const struct table *table)
{
	fast->table = table;
	if (!fast->program)
		return;
	fill(fast);
	before_set(fast);
}

/* Replies of version 2 are the only ones of a tunnel that the program takes. With many CPUs there are many counters. */
static void backends_hear(struct fast *fast)
{
	const uint32_t now_s = (uint32_t)clock_s();

	fast_count(fast);
	for (size_t i = 0; i < fast->in_use_count; i++) {
		const uint16_t uid = fast->in_use[i];

		if (fast->now.sent_up[uid].datagrams != fast->before.sent_up[uid].datagrams)
			worker_note_cid(fast->workers, fast->worker_count, uid, now_s);
		if (fast->now.sent_down[uid].datagrams != fast->before.sent_down[uid].datagrams)
			worker_hear_version(fast->workers, fast->worker_count, uid, PROXY2_V2);
	}
	memcpy(&fast->before, &fast->now, sizeof fast->before);
}

static void versions_tell(struct fast *fast)
{
	for (size_t i = 0; i < fast->in_use_count; i++) {
		const uint16_t uid = fast->in_use[i];

		reads_v2_set(fast, uid, worker_version_for(fast->workers, fast->worker_count, uid) == PROXY2_V2);
	}
}

void fast_tick(struct fast *fast)
{
	if (!fast->program || !fast->table)
		return;
	fast_live_on(fast);
	if (clock_ms() - fast->counted_ms >= COUNT_MS) {
		fast->counted_ms = clock_ms();
		backends_hear(fast);
	}
	versions_tell(fast);
	if (fast_net_tick(fast, clock_ms()) || fast_hashing_is_due(&fast->hashing, clock_ms()) ||
	    fast_homes_digest(fast, fast->table) != fast->homes_digest)
		fill(fast);
}

static void rests_set(struct fast *fast, unsigned rests)
{
	fast->rests = rests;
	if (fast->program)
		__atomic_store_n(&fast_program_control(fast->program)->pass_all, rests, __ATOMIC_RELAXED);
}

void fast_rest(struct fast *fast, enum fast_rest why)
{
	rests_set(fast, fast->rests | why);
}

void fast_work(struct fast *fast, enum fast_rest why)
{
	rests_set(fast, fast->rests & ~(unsigned)why);
}

unsigned fast_rests(const struct fast *fast)
{
	return fast->rests;
}
