/* Flows are found, made, promoted and ended by workers while they get other homes. */
#include <pthread.h>
#include <stdatomic.h>

#include "tests/fixtures/rehome_bed.h"
#include "tests/unit/suite.h"

enum { THREADS = 3 };

static atomic_bool hammer_failed, hammer_over;

/* Does what workers do meanwhile: find, make, promote and end flows, and take replies from anywhere. */
static void *hammer(void *seed)
{
	uint64_t dice = (uint64_t)(uintptr_t)seed * 0x9e3779b97f4a7c15u + 1;

	rcu_register_thread();
	for (int i = 0; !hammer_over; i++) {
		struct what what;
		struct flow *flow;

		dice = dice * 6364136223846793005u + 1442695040888963407u;
		what_of(&what, dice >> 60 & 1 ? FLOW_CID : FLOW_SOURCE, 1, (unsigned)(dice >> 33) % 50);
		flow = flows_find(flows, &what.made.key);
		if (!flow)
			flow = flows_make(flows, &what.made);
		if (flow && flow_lock(flow)) {
			const struct addr endpoint = flow->endpoint, backend = flow->backend_addr;
			struct flow *leaving = NULL;

			if (flow->kind != what.made.key.kind || memcmp(flow->cid, what.cid, sizeof what.cid) != 0)
				hammer_failed = true;
			if (dice >> 40 & 1)
				leaving = flows_promote(flows, flow, FLOW_CLASS_CID, 1000);
			flow_unlock(flow);
			flows_evict(flows, leaving);
			flow = flows_find_end(flows, &endpoint, &backend);
			if (flow && flow_lock(flow)) {
				flow_pass_down(flow, 0, 1000);
				flow_unlock(flow);
			}
			if (flow && (dice >> 45 & 7) == 0)
				flows_end(flows, flow);
		}
		if (i % 16 == 0)
			rcu_quiescent_state();
	}
	rcu_unregister_thread();
	return NULL;
}

struct seen {
	uint64_t of_class[FLOW_CLASSES], at[STATS_BACKENDS];
};

static void see(void *ctx, const struct flow *flow)
{
	struct seen *seen = ctx;

	seen->of_class[flow->class]++;
	seen->at[flow->backend] += flow->class != FLOW_CLASS_HANDSHAKE;
	ck_assert_ptr_eq(flows_find_end(flows, &flow->endpoint, &flow->backend_addr), flow);
}

START_TEST(threads_at_once)
{
	pthread_t threads[THREADS];
	struct seen seen = { 0 };
	size_t moved = 0;

	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, hammer, (void *)(i + 1)), 0);
	for (int i = 0; i < 30 || (moved == 0 && i < 3000); i++) {
		configured.owner[0] = (uint16_t)(i % 3);
		moved += follow();
	}
	hammer_over = true;
	rcu_thread_offline();
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	rcu_thread_online();
	ck_assert(!hammer_failed);
	ck_assert_uint_gt(moved, 0);
	flows_visit(flows, see, &seen);
	for (enum flow_class class = 0; class < FLOW_CLASSES; class ++)
		ck_assert_uint_eq(count_of(class), seen.of_class[class]);
	for (int i = 0; i < NAT_BACKENDS; i++)
		ck_assert_uint_eq(flows_at(i), seen.at[configured.uid[i]]);
	ck_assert_uint_eq(count_of(FLOW_CLASS_CID), flows_at(0) + flows_at(1) + flows_at(2));
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, threads_at_once);
}
