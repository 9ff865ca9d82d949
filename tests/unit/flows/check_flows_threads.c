/* Workers at once, on few flows. */
#include <pthread.h>
#include <stdatomic.h>

#include "tests/fixtures/flows_bed.h"
#include "tests/unit/suite.h"

enum { THREADS = 4 };

static atomic_bool hammer_failed;

static bool pay(void *ctx, const struct ownership_pair *to, uint32_t octets)
{
	(void)ctx;
	(void)to;
	(void)octets;
	return true;
}

/* A datagram each way. */
static void speak(struct flow *flow, struct addr from)
{
	const struct ownership_datagram up = { { from, 4 }, 60, now_ms };
	const struct ownership_purse purse = { .pay = pay };
	struct ownership_pair to[OWNERSHIP_WAYS_BACK];
	unsigned withheld;

	if (ownership_wants_many(&flow->session, &up.from))
		ownership_expand(&flow->session, flows_many_places());
	ownership_uplink_home(&flow->session, &up);
	ownership_downlink(&flow->session, &up, &purse, to, &withheld);
}

/* Does what workers do, with few keys. They come from few prefixes. */
static void *hammer(void *seed)
{
	uint64_t dice = (uint64_t)(uintptr_t)seed * 0x9e3779b97f4a7c15u + 1;

	rcu_register_thread();
	for (int i = 0; i < 20000; i++) {
		struct what what;
		struct flow *flow;

		dice = dice * 6364136223846793005u + 1442695040888963407u;
		what_of(&what, dice >> 60 & 1 ? FLOW_CID : FLOW_ADDRESS, POOL, (unsigned)(dice >> 33) % 100);
		what.source = addr_of((unsigned)(dice >> 50) % 10);
		flow = flows_find(flows, &what.made.key);
		if (!flow)
			flow = flows_make(flows, &what.made);
		if (flow && flow_lock(flow)) {
			struct addr endpoint = flow->endpoint, backend = flow->backend_addr;
			struct flow *leaving = NULL;

			/* A locked flow is what was looked for. */
			if (flow->kind != what.made.key.kind ||
			    (flow->cid_len && memcmp(flow->cid, what.cid, sizeof what.cid) != 0))
				hammer_failed = true;
			if (flow->kind == FLOW_CID)
				speak(flow, what.source);
			flow_pass_up(flow, now_ms + (uint32_t)i);
			if (dice >> 40 & 1)
				leaving = flows_promote(flows, flow,
							flow->kind == FLOW_CID ? FLOW_CLASS_CID : FLOW_CLASS_ADDRESS,
							now_ms + (uint32_t)i);
			flow_unlock(flow);
			flows_evict(flows, leaving);
			flows_find_end(flows, &endpoint, &backend);
			if ((dice >> 45 & 3) == 0)
				flows_end(flows, flow);
		}
		if (i % 16 == 0)
			rcu_quiescent_state();
	}
	rcu_unregister_thread();
	return NULL;
}

START_TEST(threads_at_once)
{
	static const struct flows_limits more = { 2 * MAX_FLOWS, IDLE_MS, CID_IDLE_MS };
	pthread_t threads[THREADS];
	struct flows_count count;

	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, hammer, (void *)(i + 1)), 0);
	for (int i = 0; i < 200; i++) {
		sweep();
		rcu_quiescent_state();
		rcu_thread_offline();
		ck_assert_int_eq(flows_set_limits(flows, POOL, i % 2 ? &limits : &more), 0);
		rcu_thread_online();
	}
	rcu_thread_offline();
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	rcu_thread_online();
	ck_assert(!hammer_failed);
	count = flows_count(flows, POOL);
	/* Those beyond the last limit go one by one, and nobody may have come since it was set. */
	ck_assert_uint_le(count.flows[FLOW_CLASS_HANDSHAKE], flow_handshakes_most(more.max_flows));
	ck_assert_uint_le(count.flows[FLOW_CLASS_ADDRESS] + count.flows[FLOW_CLASS_CID], more.max_flows);
	ck_assert_uint_eq(count.flows[FLOW_CLASS_ADDRESS] + count.flows[FLOW_CLASS_CID],
			  flows_of_backend(flows, BACKEND));
	ck_assert_uint_gt(count.evicted[FLOW_CLASS_HANDSHAKE], 0);
	/* Every flow that is counted can be found, and ends once. */
	for (unsigned n = 0; n < 100; n++) {
		struct flow *flows_of[2] = { find(FLOW_CID, n), find(FLOW_ADDRESS, n) };

		for (int i = 0; i < 2; i++)
			if (flows_of[i])
				flows_end(flows, flows_of[i]);
	}
	assert_count(0, 0, 0);
	ck_assert_uint_eq(flows_of_backend(flows, BACKEND), 0);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, threads_at_once);
}
