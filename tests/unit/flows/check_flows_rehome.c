/* Flows when server ids move and backends change their addresses. */
#include <pthread.h>
#include <stdatomic.h>

#include "control/flow_home.h"
#include "flows/flows_view.h"
#include "tests/fixtures/nat_table.h"
#include "tests/unit/suite.h"

enum { MAX_FLOWS = 64, THREADS = 3 };

static struct nat_table configured;
static struct publisher publisher;
static struct flows *flows;
static struct endpoint_space space;

static void publish(void)
{
	publisher_publish(&publisher, nat_table_build(&configured, publisher_read(&publisher)));
}

/* As the control thread does. */
static size_t follow(void)
{
	publish();
	return flow_home_follow(flows, publisher_read(&publisher));
}

static void set_up(void)
{
	static const uint8_t secret[16] = { 1 };
	static const struct flows_limits limits = { .max_flows = MAX_FLOWS, .idle_ms = 1000, .cid_idle_ms = 2000 };

	rcu_register_thread();
	nat_table_init(&configured);
	publish();
	flows = flows_new(secret);
	ck_assert_ptr_nonnull(flows);
	ck_assert_int_eq(flows_set_limits(flows, configured.pool_uid, &limits), 0);
	space = publisher_read(&publisher)->pools[0].space;
	ck_assert_uint_eq(follow(), 0);
}

static void tear_down(void)
{
	publisher_publish(&publisher, NULL);
	flows_free(flows);
	nat_table_end(&configured);
	rcu_unregister_thread();
}

static struct ownership_peer peer_of(unsigned n)
{
	return (struct ownership_peer){ { { [10] = 0xff, 0xff, 192, 0, 2, (uint8_t)n }, 5000 }, 0 };
}

/* What a test tells flows apart by: kind and a number. The CID begins with the server id `id`. */
struct what {
	struct flow_new made;
	uint8_t cid[NAT_CID_OCTETS];
};

static void what_of(struct what *what, enum flow_kind kind, uint8_t id, unsigned n)
{
	*what = (struct what){ .cid = { id, 0, 0, 0, (uint8_t)(n >> 8), (uint8_t)n } };
	what->made = (struct flow_new){
		.key = { .kind = kind, .pool = configured.pool_uid },
		.backend = configured.uid[id - 1],
		.backend_addr = configured.backend[id - 1].addr,
		.space = &space,
		.endpoint_hash = n * UINT64_C(0x9e3779b97f4a7c15),
		.owner = peer_of(n),
		.now_ms = 1000,
	};
	if (kind == FLOW_CID || kind == FLOW_SOURCE) {
		what->made.key.cid_len = sizeof what->cid;
		what->made.key.cid = what->cid;
	}
	if (kind != FLOW_CID)
		what->made.key.source = peer_of(n).device;
}

static struct flow *make(enum flow_kind kind, uint8_t id, unsigned n)
{
	struct what what;
	struct flow *flow;

	what_of(&what, kind, id, n);
	flow = flows_make(flows, &what.made);
	ck_assert_ptr_nonnull(flow);
	return flow;
}

static struct flow *find(enum flow_kind kind, uint8_t id, unsigned n)
{
	struct what what;

	what_of(&what, kind, id, n);
	return flows_find(flows, &what.made.key);
}

static struct flow *prove(struct flow *flow)
{
	ck_assert(flow_lock(flow));
	flows_prove(flows, flow);
	flow_unlock(flow);
	return flow;
}

/* Makes a flow of an address whose handshake made a session. */
static struct flow *make_finished(uint8_t id, unsigned n)
{
	struct flow *flow = prove(make(FLOW_ADDRESS, id, n));
	struct what what;

	what_of(&what, FLOW_CID, id, n);
	ck_assert(flow_lock(flow));
	flow->cid_len = sizeof what.cid;
	memcpy(flow->cid, what.cid, sizeof what.cid);
	flow->protected_seen = true;
	flow_unlock(flow);
	return flow;
}

/* Replies of backend `at` find the flow, and replies of no other backend do. */
static void assert_at(const struct flow *flow, int at)
{
	for (int i = 0; i < NAT_BACKENDS; i++)
		ck_assert_ptr_eq(flows_find_end(flows, &flow->endpoint, &configured.backend[i].addr),
				 i == at ? flow : NULL);
	ck_assert_uint_eq(flow->backend, configured.uid[at]);
	ck_assert(addr_equal(&flow->backend_addr, &configured.backend[at].addr));
}

static void assert_ended(enum flow_kind kind, uint8_t id, unsigned n)
{
	ck_assert_ptr_null(find(kind, id, n));
}

static uint64_t flows_at(int at)
{
	return flows_of_backend(flows, configured.uid[at]);
}

/* The first id goes to the second backend. */
static size_t take_over(void)
{
	configured.owner[0] = 1;
	return follow();
}

START_TEST(sessions_follow_their_id)
{
	struct flow *of_cid = prove(make(FLOW_CID, 1, 1)), *of_source = prove(make(FLOW_SOURCE, 1, 2));
	struct flow *finished = make_finished(1, 3), *other = prove(make(FLOW_CID, 3, 4));
	const struct addr endpoint = of_cid->endpoint;

	finished->handshake = true; /* a ClientHello came since */
	ck_assert_uint_eq(flows_at(0), 3);
	ck_assert_uint_eq(take_over(), 3);
	assert_at(of_cid, 1);
	assert_at(of_source, 1);
	assert_at(finished, 1);
	assert_at(other, 2);
	ck_assert(addr_equal(&of_cid->endpoint, &endpoint));
	ck_assert_ptr_eq(find(FLOW_CID, 1, 1), of_cid);
	ck_assert_ptr_eq(find(FLOW_SOURCE, 1, 2), of_source);
	ck_assert_uint_eq(flows_at(0), 0);
	ck_assert_uint_eq(flows_at(1), 3);
	ck_assert_uint_eq(flows_at(2), 1);
	ck_assert_uint_eq(flows_count(flows, configured.pool_uid).proven, 4);
	/* And back. */
	configured.owner[0] = 0;
	ck_assert_uint_eq(follow(), 3);
	assert_at(of_cid, 0);
	ck_assert_uint_eq(flows_at(0), 3);
}
END_TEST

/* Owner, claimant, budgets and times are as they were. */
START_TEST(state_stays)
{
	const struct ownership_times times = { 5000, 60000 };
	const struct ownership_peer owner = peer_of(1), claimant = peer_of(9);
	struct flow *flow = make(FLOW_CID, 1, 1);
	struct ownership_peer to[OWNERSHIP_WAYS_BACK];
	struct flow before;
	bool began;

	ownership_uplink(&flow->ownership, &times, &owner, 100, 1000, &began);
	ownership_downlink(&flow->ownership, 50, to);
	ownership_uplink(&flow->ownership, &times, &claimant, 70, 1001, &began);
	flow_pass_up(flow, 1001);
	flow_pass_down(flow, 1, 1002);
	before = *flow;
	ck_assert_uint_eq(take_over(), 1);
	ck_assert_mem_eq(&flow->ownership, &before.ownership, sizeof flow->ownership);
	ck_assert(flow->trial && flow->replied && flow->last_down);
	ck_assert_uint_eq(flow->copies, 1);
	ck_assert_uint_eq(flow->created_ms, 1000);
	ck_assert_uint_eq(flow->last_ms, 1002);
	ck_assert_uint_eq(flow->turned_ms, 1001);
	ck_assert_uint_eq(flow->serial, before.serial);
	ck_assert_uint_eq(flow->endpoint.port, before.endpoint.port);
}
END_TEST

/* A flow on trial stays on trial when it moves. It is proven where it leads now, and ends like any other. */
START_TEST(trial_stays_a_trial)
{
	struct flow *flow = make(FLOW_CID, 1, 1);

	ck_assert_uint_eq(take_over(), 1);
	ck_assert_uint_eq(flows_at(0) + flows_at(1), 0);
	ck_assert_uint_eq(flows_count(flows, configured.pool_uid).trial, 1);
	prove(flow);
	ck_assert_uint_eq(flows_at(1), 1);
	flows_end(flows, flow);
	assert_ended(FLOW_CID, 1, 1);
	ck_assert_ptr_null(flows_find_end(flows, &flow->endpoint, &configured.backend[1].addr));
	ck_assert_uint_eq(flows_at(1), 0);
	ck_assert_uint_eq(
		flows_count(flows, configured.pool_uid).trial + flows_count(flows, configured.pool_uid).proven, 0);
}
END_TEST

START_TEST(trials_that_moved_make_room)
{
	make(FLOW_CID, 1, 1);
	ck_assert_uint_eq(take_over(), 1);
	for (unsigned n = 2; n < 2 + MAX_FLOWS / FLOWS_TRIAL_PART; n++)
		make(FLOW_CID, 2, n);
	assert_ended(FLOW_CID, 1, 1);
	ck_assert_uint_eq(flows_count(flows, configured.pool_uid).evicted, 1);
}
END_TEST

/* Handshakes, and flows without a session, stay with the backend that they began with. */
START_TEST(no_session_does_not_follow_an_id)
{
	struct flow *address = prove(make(FLOW_ADDRESS, 1, 1)), *hello = make(FLOW_HELLO, 1, 2);

	ck_assert_uint_eq(take_over(), 0);
	assert_at(address, 0);
	assert_at(hello, 0);
	ck_assert_uint_eq(flows_at(0), 1);
}
END_TEST

START_TEST(all_follow_an_address)
{
	struct flow *made[] = { make(FLOW_ADDRESS, 1, 1), make(FLOW_HELLO, 1, 2), prove(make(FLOW_CID, 1, 3)),
				prove(make(FLOW_SOURCE, 1, 4)), make_finished(1, 5) };
	const struct addr before = configured.backend[0].addr;

	made[0]->handshake = true;
	configured.backend[0].addr.ip[15] = 77;
	ck_assert_uint_eq(follow(), 5);
	for (int i = 0; i < 5; i++) {
		assert_at(made[i], 0);
		ck_assert_ptr_null(flows_find_end(flows, &made[i]->endpoint, &before));
	}
	ck_assert(made[0]->handshake);
	ck_assert_uint_eq(flows_at(0), 3);
}
END_TEST

/* Two backends exchange their addresses. */
START_TEST(addresses_are_swapped)
{
	struct flow *one = make(FLOW_CID, 1, 1), *two = make(FLOW_CID, 2, 2);
	const struct addr first = configured.backend[0].addr;

	configured.backend[0].addr = configured.backend[1].addr;
	configured.backend[1].addr = first;
	ck_assert_uint_eq(follow(), 2);
	assert_at(one, 0);
	assert_at(two, 1);
}
END_TEST

START_TEST(nobody_knows_where_to)
{
	struct flow *flow = prove(make(FLOW_CID, 1, 1));

	configured.owner[0] = SNAPSHOT_NO_BACKEND;
	ck_assert_uint_eq(follow(), 0);
	assert_at(flow, 0);
	configured.owner[0] = 1;
	configured.backend[1].addr = (struct addr){ .port = 6002 };
	ck_assert_uint_eq(follow(), 0);
	ck_assert(addr_equal(&flow->backend_addr, &configured.backend[0].addr));
	/* The address becomes known. */
	configured.backend[1].addr = configured.backend[0].addr;
	configured.backend[1].addr.port = 6009;
	ck_assert_uint_eq(follow(), 1);
	assert_at(flow, 1);
}
END_TEST

START_TEST(nothing_moved)
{
	struct flow *flow = make(FLOW_CID, 1, 1);

	configured.backend[0].admin = BACKEND_DRAIN;
	configured.backend[1].weight = 7;
	ck_assert_uint_eq(follow(), 0);
	configured.backend[2].addr.port++;
	ck_assert_uint_eq(follow(), 0);
	assert_at(flow, 0);
}
END_TEST

/* Another session has the endpoint there already. */
START_TEST(endpoint_is_taken)
{
	struct flow *there = prove(make(FLOW_CID, 2, 2));
	struct what what;

	what_of(&what, FLOW_CID, 1, 1);
	what.made.endpoint = &there->endpoint;
	prove(flows_make(flows, &what.made));
	ck_assert_uint_eq(take_over(), 0);
	assert_ended(FLOW_CID, 1, 1);
	assert_at(there, 1);
	ck_assert_uint_eq(flows_at(0), 0);
	ck_assert_uint_eq(flows_at(1), 1);
	ck_assert_uint_eq(flows_count(flows, configured.pool_uid).proven, 1);
}
END_TEST

START_TEST(other_family)
{
	prove(make(FLOW_CID, 1, 1));
	ck_assert_int_eq(addr_parse(&configured.backend[0].addr, "[fd00::1]:6001"), 0);
	ck_assert_uint_eq(follow(), 0);
	assert_ended(FLOW_CID, 1, 1);
	ck_assert_uint_eq(flows_at(0), 0);
}
END_TEST

/* Every descriptor is in use. */
START_TEST(at_max_flows)
{
	for (unsigned n = 0; n < MAX_FLOWS; n++)
		prove(make(FLOW_CID, 1, n));
	ck_assert_uint_eq(take_over(), MAX_FLOWS);
	ck_assert_uint_eq(flows_at(1), MAX_FLOWS);
	for (unsigned n = 0; n < MAX_FLOWS; n++)
		assert_at(find(FLOW_CID, 1, n), 1);
}
END_TEST

static atomic_bool hammer_failed, hammer_over;

/* Does what workers do meanwhile: find, make, prove and end flows, and take replies from anywhere. */
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

			if (flow->kind != what.made.key.kind || memcmp(flow->cid, what.cid, sizeof what.cid) != 0)
				hammer_failed = true;
			if (dice >> 40 & 1)
				flows_prove(flows, flow);
			flow_unlock(flow);
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
	uint64_t trial, at[STATS_BACKENDS];
};

static void see(void *ctx, const struct flow *flow)
{
	struct seen *seen = ctx;

	seen->trial += flow->trial;
	seen->at[flow->backend] += !flow->trial;
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
	ck_assert_uint_eq(flows_count(flows, configured.pool_uid).trial, seen.trial);
	for (int i = 0; i < NAT_BACKENDS; i++)
		ck_assert_uint_eq(flows_at(i), seen.at[configured.uid[i]]);
	ck_assert_uint_eq(flows_count(flows, configured.pool_uid).proven, flows_at(0) + flows_at(1) + flows_at(2));
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, sessions_follow_their_id);
	tcase_add_test(tests, state_stays);
	tcase_add_test(tests, trial_stays_a_trial);
	tcase_add_test(tests, trials_that_moved_make_room);
	tcase_add_test(tests, no_session_does_not_follow_an_id);
	tcase_add_test(tests, all_follow_an_address);
	tcase_add_test(tests, addresses_are_swapped);
	tcase_add_test(tests, nobody_knows_where_to);
	tcase_add_test(tests, nothing_moved);
	tcase_add_test(tests, endpoint_is_taken);
	tcase_add_test(tests, other_family);
	tcase_add_test(tests, at_max_flows);
	tcase_add_test(tests, threads_at_once);
}
