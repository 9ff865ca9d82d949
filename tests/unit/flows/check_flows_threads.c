/* Workers at once, on few flows. */
#include <pthread.h>
#include <stdatomic.h>

#include "tests/fixtures/flows_bed.h"
#include "tests/unit/suite.h"

enum { THREADS = 4 };

static atomic_bool hammer_failed;

/* Does what workers do, with few keys. */
static void *hammer(void *seed)
{
	uint64_t dice = (uint64_t)(uintptr_t)seed * 0x9e3779b97f4a7c15u + 1;

	rcu_register_thread();
	for (int i = 0; i < 20000; i++) {
		struct what what;
		struct flow *flow;

		dice = dice * 6364136223846793005u + 1442695040888963407u;
		what_of(&what, dice >> 60 & 1 ? FLOW_CID : FLOW_ADDRESS, POOL, (unsigned)(dice >> 33) % 100);
		flow = flows_find(flows, &what.made.key);
		if (!flow)
			flow = flows_make(flows, &what.made);
		if (flow && flow_lock(flow)) {
			struct addr endpoint = flow->endpoint, backend = flow->backend_addr;
			struct ownership_peer to[OWNERSHIP_WAYS_BACK];
			bool began;

			/* A locked flow is what was looked for. */
			if (flow->kind != what.made.key.kind ||
			    (flow->cid_len && memcmp(flow->cid, what.cid, sizeof what.cid) != 0))
				hammer_failed = true;
			if (flow->kind == FLOW_CID) {
				ownership_uplink(&flow->ownership, &(struct ownership_times){ 5000, 60000 },
						 &what.made.owner, 60, now_ms, &began);
				ownership_downlink(&flow->ownership, 60, to);
			}
			if (dice >> 40 & 1)
				flows_prove(flows, flow);
			flow_unlock(flow);
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
	pthread_t threads[THREADS];
	struct flows_count count;

	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, hammer, (void *)(i + 1)), 0);
	for (int i = 0; i < 200; i++) {
		sweep();
		rcu_quiescent_state();
	}
	rcu_thread_offline();
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	rcu_thread_online();
	ck_assert(!hammer_failed);
	count = flows_count(flows, POOL);
	ck_assert_uint_le(count.trial, MAX_FLOWS / FLOWS_TRIAL_PART);
	ck_assert_uint_le(count.proven, MAX_FLOWS);
	ck_assert_uint_eq(count.proven, flows_of_backend(flows, BACKEND));
	/* Every flow that is counted can be found, and ends once. */
	for (unsigned n = 0; n < 100; n++) {
		struct flow *flows_of[2] = { find(FLOW_CID, n), find(FLOW_ADDRESS, n) };

		for (int i = 0; i < 2; i++)
			if (flows_of[i])
				flows_end(flows, flows_of[i]);
	}
	assert_count(0, 0);
	ck_assert_uint_eq(flows_of_backend(flows, BACKEND), 0);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, threads_at_once);
}
