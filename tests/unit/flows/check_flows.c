#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "flows/flows.h"
#include "flows/flows_view.h"
#include "tests/unit/suite.h"

enum { POOL = 2, OTHER_POOL = 3, BACKEND = 7, MAX_FLOWS = 64, IDLE_MS = 300000, CID_IDLE_MS = 86400000, THREADS = 4 };

static const struct flows_limits limits = { .max_flows = MAX_FLOWS, .idle_ms = IDLE_MS, .cid_idle_ms = CID_IDLE_MS };

static struct flows *flows;
static struct endpoint_space space;
static uint32_t now_ms;

static void set_up(void)
{
	static const uint8_t secret[16] = { 1, 2, 3 };

	rcu_register_thread();
	flows = flows_new(secret);
	ck_assert_ptr_nonnull(flows);
	ck_assert_int_eq(flows_set_limits(flows, POOL, &limits), 0);
	space = (struct endpoint_space){
		.prefixes = { { .host_bits = 22 } }, .prefix_count = 1, .port_first = 40684, .port_last = 40691
	};
	ck_assert_int_eq(addr_parse_ip(&space.prefixes[0].first, "127.64.0.0"), 0);
	now_ms = UINT32_MAX - 10000;
}

static void tear_down(void)
{
	rcu_quiescent_state();
	flows_free(flows);
	rcu_unregister_thread();
}

static struct addr addr_of(unsigned n)
{
	return (struct addr){ .ip = { [10] = 0xff, 0xff, 192, 0, (uint8_t)(n >> 8), (uint8_t)n }, .port = 5000 };
}

/* What a test tells flows apart by: kind, pool and a number. The number gives their CID, source and endpoint. */
struct what {
	struct flow_new made;
	uint8_t cid[6];
};

static void what_of(struct what *what, enum flow_kind kind, uint16_t pool, unsigned n)
{
	*what = (struct what){ .cid = { 1, 0, 0, 0, (uint8_t)(n >> 8), (uint8_t)n } };
	what->made = (struct flow_new){
		.key = { .kind = kind, .pool = pool },
		.backend = BACKEND,
		.backend_addr = addr_of(60000),
		.space = &space,
		.endpoint_hash = n,
		.owner = { .device = addr_of(n), .service = 4 },
		.now_ms = now_ms,
	};
	if (kind == FLOW_CID || kind == FLOW_SOURCE) {
		what->made.key.cid_len = sizeof what->cid;
		what->made.key.cid = what->cid;
	}
	if (kind != FLOW_CID) {
		what->made.key.source = addr_of(n);
		what->made.key.service = 4;
	}
}

static struct flow *make(enum flow_kind kind, unsigned n)
{
	struct what what;

	what_of(&what, kind, POOL, n);
	return flows_make(flows, &what.made);
}

static struct flow *find(enum flow_kind kind, unsigned n)
{
	struct what what;

	what_of(&what, kind, POOL, n);
	return flows_find(flows, &what.made.key);
}

static void prove(struct flow *flow)
{
	ck_assert(flow_lock(flow));
	flows_prove(flows, flow);
	flow_unlock(flow);
}

static void assert_count(uint64_t trial, uint64_t proven)
{
	struct flows_count count = flows_count(flows, POOL);

	ck_assert_uint_eq(count.trial, trial);
	ck_assert_uint_eq(count.proven, proven);
}

static void sweep(void)
{
	for (int i = 0; i < FLOWS_SWEEP_CALLS; i++)
		flows_sweep(flows, now_ms);
}

START_TEST(made_and_found)
{
	static const enum flow_kind kinds[] = { FLOW_ADDRESS, FLOW_HELLO, FLOW_CID, FLOW_SOURCE };
	struct flow *made[4];

	for (int i = 0; i < 4; i++) {
		ck_assert_ptr_null(find(kinds[i], 1));
		made[i] = make(kinds[i], 1);
		ck_assert_ptr_nonnull(made[i]);
	}
	for (int i = 0; i < 4; i++) {
		struct addr backend = addr_of(60000), other = addr_of(60001);

		ck_assert_ptr_eq(find(kinds[i], 1), made[i]);
		ck_assert_ptr_null(find(kinds[i], 2));
		/* All have one hash, so the later ones took further endpoints. */
		ck_assert_ptr_eq(flows_find_end(flows, &made[i]->endpoint, &backend), made[i]);
		ck_assert_ptr_null(flows_find_end(flows, &made[i]->endpoint, &other));
		ck_assert(endpoint_contains(&space, &made[i]->endpoint));
	}
	assert_count(4, 0);
}
END_TEST

START_TEST(keys_tell_apart)
{
	struct what what;

	make(FLOW_SOURCE, 1);
	make(FLOW_CID, 1);
	what_of(&what, FLOW_SOURCE, POOL, 1);
	what.made.key.service = 5;
	ck_assert_ptr_null(flows_find(flows, &what.made.key));
	what_of(&what, FLOW_SOURCE, POOL, 1);
	what.made.key.source.port++;
	ck_assert_ptr_null(flows_find(flows, &what.made.key));
	what_of(&what, FLOW_CID, POOL, 1);
	what.made.key.cid_len--;
	ck_assert_ptr_null(flows_find(flows, &what.made.key));
	what_of(&what, FLOW_CID, OTHER_POOL, 1);
	ck_assert_ptr_null(flows_find(flows, &what.made.key));
}
END_TEST

/* A flow of a CID is found whoever owns it. */
START_TEST(owner_is_no_part_of_the_key_of_a_cid)
{
	struct flow *flow = make(FLOW_CID, 1);
	struct ownership_peer other = { .device = addr_of(99) };

	ck_assert(flow_lock(flow));
	ownership_prove(&flow->ownership, &other);
	flow_unlock(flow);
	ck_assert_ptr_eq(find(FLOW_CID, 1), flow);
}
END_TEST

START_TEST(made_twice_is_one)
{
	struct flow *flow = make(FLOW_CID, 1);

	ck_assert_ptr_eq(make(FLOW_CID, 1), flow);
	assert_count(1, 0);
}
END_TEST

START_TEST(ended)
{
	struct flow *flow = make(FLOW_CID, 1);
	struct addr endpoint = flow->endpoint, backend = addr_of(60000);

	prove(flow);
	assert_count(0, 1);
	flows_end(flows, flow);
	ck_assert(!flow_lock(flow));
	ck_assert_ptr_null(find(FLOW_CID, 1));
	ck_assert_ptr_null(flows_find_end(flows, &endpoint, &backend));
	flows_end(flows, flow);
	assert_count(0, 0);
	flow = make(FLOW_CID, 1);
	ck_assert(addr_equal(&flow->endpoint, &endpoint));
}
END_TEST

START_TEST(trials_are_bounded)
{
	for (unsigned n = 0; n < 10 * MAX_FLOWS; n++)
		ck_assert_ptr_nonnull(make(FLOW_CID, n));
	assert_count(MAX_FLOWS / FLOWS_TRIAL_PART, 0);
	/* The last ones made are still there. */
	for (unsigned n = 0; n < 10 * MAX_FLOWS; n++)
		ck_assert_msg(!find(FLOW_CID, n) == (n < 10 * MAX_FLOWS - MAX_FLOWS / FLOWS_TRIAL_PART), "flow %u", n);
}
END_TEST

START_TEST(proven_flows_outlive_any_trials)
{
	for (unsigned n = 0; n < MAX_FLOWS; n++)
		prove(make(FLOW_CID, n));
	assert_count(0, MAX_FLOWS);
	for (unsigned n = MAX_FLOWS; n < 5000; n++) {
		make(FLOW_CID, n);
		rcu_quiescent_state();
	}
	assert_count(MAX_FLOWS / FLOWS_TRIAL_PART, MAX_FLOWS);
	for (unsigned n = 0; n < MAX_FLOWS; n++)
		ck_assert_ptr_nonnull(find(FLOW_CID, n));
}
END_TEST

START_TEST(no_more_than_max_flows_are_proven)
{
	struct flow *late;

	for (unsigned n = 0; n < MAX_FLOWS; n++)
		prove(make(FLOW_CID, n));
	late = make(FLOW_CID, MAX_FLOWS);
	prove(late);
	assert_count(1, MAX_FLOWS);
	ck_assert(late->trial);
	flows_end(flows, find(FLOW_CID, 0));
	prove(late);
	assert_count(0, MAX_FLOWS);
	prove(late);
	assert_count(0, MAX_FLOWS);
}
END_TEST

/* Proven flows of all kinds and pools count, and no others. */
START_TEST(counted_by_backend)
{
	struct what what;
	struct flow *other;

	ck_assert_int_eq(flows_set_limits(flows, OTHER_POOL, &limits), 0);
	prove(make(FLOW_CID, 1));
	prove(make(FLOW_SOURCE, 2));
	prove(make(FLOW_ADDRESS, 3));
	make(FLOW_CID, 4);
	what_of(&what, FLOW_CID, POOL, 5);
	what.made.backend = STATS_BACKENDS - 1;
	other = flows_make(flows, &what.made);
	prove(other);
	ck_assert_uint_eq(flows_of_backend(flows, BACKEND), 3);
	ck_assert_uint_eq(flows_of_backend(flows, STATS_BACKENDS - 1), 1);
	ck_assert_uint_eq(flows_of_backend(flows, 0), 0);
	flows_end(flows, other);
	flows_end(flows, find(FLOW_CID, 4));
	flows_end(flows, find(FLOW_CID, 1));
	ck_assert_uint_eq(flows_of_backend(flows, STATS_BACKENDS - 1), 0);
	ck_assert_uint_eq(flows_of_backend(flows, BACKEND), 2);
	now_ms += CID_IDLE_MS;
	sweep();
	ck_assert_uint_eq(flows_of_backend(flows, BACKEND), 0);
}
END_TEST

START_TEST(trials_expire)
{
	make(FLOW_CID, 1);
	now_ms += FLOWS_TRIAL_MS - 1;
	sweep();
	assert_count(1, 0);
	now_ms += 1;
	sweep();
	assert_count(0, 0);
	ck_assert_ptr_null(find(FLOW_CID, 1));
}
END_TEST

START_TEST(idle_flows_expire)
{
	prove(make(FLOW_ADDRESS, 1));
	prove(make(FLOW_CID, 1));
	prove(make(FLOW_SOURCE, 1));
	now_ms += IDLE_MS - 1;
	sweep();
	assert_count(0, 3);
	now_ms += 1;
	sweep();
	assert_count(0, 2);
	ck_assert_ptr_null(find(FLOW_ADDRESS, 1));
	now_ms += CID_IDLE_MS - IDLE_MS;
	sweep();
	assert_count(0, 0);
}
END_TEST

START_TEST(traffic_keeps_flows)
{
	struct flow *flow = make(FLOW_ADDRESS, 1);

	prove(flow);
	for (int i = 0; i < 3; i++) {
		now_ms += IDLE_MS - 1;
		ck_assert(flow_lock(flow));
		if (i % 2)
			flow_pass_up(flow, now_ms);
		else
			flow_pass_down(flow, 0, now_ms);
		flow_unlock(flow);
		sweep();
	}
	assert_count(0, 1);
}
END_TEST

/* A flow keeps the time of the last datagram each way, and the number of copies. */
START_TEST(passes_are_kept)
{
	const struct flows_filter all = { 0 };
	struct flow *flow = make(FLOW_CID, 1);
	struct flow_description is;
	const uint32_t made_ms = now_ms;

	flows_describe(flows, &all, now_ms, &is, 1);
	ck_assert(!is.replied);
	ck_assert_uint_eq(is.up_ms, made_ms);
	flow_pass_up(flow, made_ms + 1);
	flow_pass_down(flow, 2, made_ms + 2);
	flow_pass_down(flow, FLOW_COUNTED - 3, made_ms + 3);
	flows_describe(flows, &all, now_ms, &is, 1);
	ck_assert(is.replied);
	ck_assert_uint_eq(is.created_ms, made_ms);
	ck_assert_uint_eq(is.up_ms, made_ms + 1);
	ck_assert_uint_eq(is.down_ms, made_ms + 3);
	ck_assert_uint_eq(is.copies, FLOW_COUNTED - 1);
	flow_pass_up(flow, made_ms + 4);
	flow_pass_up(flow, made_ms + 5);
	flow_pass_down(flow, 3, made_ms + 6);
	flow_pass_up(flow, made_ms + 7);
	flows_describe(flows, &all, now_ms, &is, 1);
	ck_assert_uint_eq(is.up_ms, made_ms + 7);
	ck_assert_uint_eq(is.down_ms, made_ms + 6);
	ck_assert_uint_eq(is.copies, FLOW_COUNTED);
}
END_TEST

START_TEST(pool_removed)
{
	static const struct flows_limits none = { 0 };
	struct what what;

	prove(make(FLOW_CID, 1));
	make(FLOW_CID, 2);
	ck_assert_int_eq(flows_set_limits(flows, OTHER_POOL, &limits), 0);
	what_of(&what, FLOW_CID, OTHER_POOL, 3);
	ck_assert_ptr_nonnull(flows_make(flows, &what.made));
	ck_assert_int_eq(flows_set_limits(flows, POOL, &none), 0);
	sweep();
	assert_count(0, 0);
	ck_assert_uint_eq(flows_count(flows, OTHER_POOL).trial, 1);
}
END_TEST

START_TEST(limits_grow_and_shrink)
{
	static const struct flows_limits more = { 4 * MAX_FLOWS, IDLE_MS, CID_IDLE_MS };

	for (unsigned n = 0; n < MAX_FLOWS; n++)
		prove(make(FLOW_CID, n));
	ck_assert_int_eq(flows_set_limits(flows, POOL, &more), 0);
	for (unsigned n = MAX_FLOWS; n < 2 * MAX_FLOWS; n++)
		prove(make(FLOW_CID, n));
	assert_count(0, 2 * MAX_FLOWS);
	/* A lower limit ends no flow. */
	ck_assert_int_eq(flows_set_limits(flows, POOL, &limits), 0);
	sweep();
	assert_count(0, 2 * MAX_FLOWS);
	prove(make(FLOW_CID, 5000));
	assert_count(1, 2 * MAX_FLOWS);
}
END_TEST

START_TEST(endpoints_run_out)
{
	space.prefixes[0].host_bits = 0;
	space.port_last = space.port_first;
	ck_assert_ptr_nonnull(make(FLOW_CID, 1));
	ck_assert_ptr_null(make(FLOW_CID, 2));
	assert_count(1, 0);
	flows_end(flows, find(FLOW_CID, 1));
	ck_assert_ptr_nonnull(make(FLOW_CID, 2));
}
END_TEST

/* One endpoint serves a flow of each backend. */
START_TEST(backends_share_an_endpoint)
{
	struct what what;
	struct flow *one, *two;

	space.prefixes[0].host_bits = 0;
	space.port_last = space.port_first;
	one = make(FLOW_CID, 1);
	what_of(&what, FLOW_CID, POOL, 2);
	what.made.backend_addr = addr_of(60001);
	two = flows_make(flows, &what.made);
	ck_assert_ptr_nonnull(two);
	ck_assert(addr_equal(&one->endpoint, &two->endpoint));
	ck_assert_ptr_eq(flows_find_end(flows, &two->endpoint, &what.made.backend_addr), two);
}
END_TEST

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
	tcase_add_test(tests, made_and_found);
	tcase_add_test(tests, keys_tell_apart);
	tcase_add_test(tests, owner_is_no_part_of_the_key_of_a_cid);
	tcase_add_test(tests, made_twice_is_one);
	tcase_add_test(tests, ended);
	tcase_add_test(tests, trials_are_bounded);
	tcase_add_test(tests, proven_flows_outlive_any_trials);
	tcase_add_test(tests, no_more_than_max_flows_are_proven);
	tcase_add_test(tests, counted_by_backend);
	tcase_add_test(tests, trials_expire);
	tcase_add_test(tests, idle_flows_expire);
	tcase_add_test(tests, traffic_keeps_flows);
	tcase_add_test(tests, passes_are_kept);
	tcase_add_test(tests, pool_removed);
	tcase_add_test(tests, limits_grow_and_shrink);
	tcase_add_test(tests, endpoints_run_out);
	tcase_add_test(tests, backends_share_an_endpoint);
	tcase_add_test(tests, threads_at_once);
}
