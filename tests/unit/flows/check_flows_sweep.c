
#include "flows/flows.h"
#include "tests/unit/suite.h"

static const uint8_t secret[16] = { 1 };
static const struct flows_limits limits = { .max_flows = 64, .idle_ms = 1000, .cid_idle_ms = 2000000000 };

static struct flows *table(void)
{
	struct flows *flows;

	rcu_register_thread();
	rcu_thread_offline();
	flows = flows_new(secret);
	ck_assert_ptr_nonnull(flows);
	ck_assert_int_eq(flows_set_limits(flows, 0, &limits), 0);
	rcu_thread_online();
	return flows;
}

static void end(struct flows *flows)
{
	flows_free(flows);
	rcu_unregister_thread();
}

static struct flow *make(struct flows *flows, enum flow_kind kind, uint32_t now_ms)
{
	static const struct endpoint_space space = {
		.prefixes = { { { .ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [13] = 64 } }, 22 } },
		.prefix_count = 1,
		.port_first = 40684,
		.port_last = 40691,
	};
	static const uint8_t cid[6] = { 1, 2, 3, 4, 5, 6 };
	const struct addr device = { { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1 }, 1000 };
	const struct addr backend = { { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }, 6001 };
	struct flow_new what = {
		.key = { .kind = kind, .source = device, .cid_len = kind == FLOW_CID ? sizeof cid : 0, .cid = cid },
		.backend_addr = backend,
		.space = &space,
		.endpoint_hash = (uint64_t)kind,
		.owner = { .device = device },
		.now_ms = now_ms,
	};
	struct flow *flow = flows_make(flows, &what);

	ck_assert_ptr_nonnull(flow);
	return flow;
}

static void prove(struct flows *flows, struct flow *flow)
{
	ck_assert(flow_lock(flow));
	flows_prove(flows, flow);
	flow_unlock(flow);
}

static bool lives(struct flow *flow)
{
	if (!flow_lock(flow))
		return false;
	flow_unlock(flow);
	return true;
}

static void sweep(struct flows *flows, uint32_t now_ms)
{
	for (int i = 0; i < FLOWS_SWEEP_CALLS; i++)
		flows_sweep(flows, now_ms);
}

/* A worker may begin its batch after the sweep has looked at the clock. */
START_TEST(test_datagram_after_the_sweep_began)
{
	struct flows *flows = table();
	struct flow *trial = make(flows, FLOW_ADDRESS, 5004), *session = make(flows, FLOW_CID, 5004);

	prove(flows, session);
	sweep(flows, 5000);
	ck_assert(lives(trial));
	ck_assert(lives(session));
	end(flows);
}
END_TEST

START_TEST(test_datagram_after_the_sweep_began_at_the_wrap)
{
	struct flows *flows = table();
	struct flow *session = make(flows, FLOW_CID, 2);

	prove(flows, session);
	sweep(flows, UINT32_MAX);
	ck_assert(lives(session));
	end(flows);
}
END_TEST

START_TEST(test_idle_without_cid)
{
	struct flows *flows = table();
	struct flow *flow = make(flows, FLOW_ADDRESS, UINT32_MAX - 500);

	prove(flows, flow);
	sweep(flows, 498);
	ck_assert(lives(flow));
	sweep(flows, 499);
	ck_assert(!lives(flow));
	end(flows);
}
END_TEST

START_TEST(test_idle_with_cid)
{
	struct flows *flows = table();
	struct flow *flow = make(flows, FLOW_CID, 0);

	prove(flows, flow);
	sweep(flows, 1999999999);
	ck_assert(lives(flow));
	sweep(flows, 2000000000);
	ck_assert(!lives(flow));
	end(flows);
}
END_TEST

START_TEST(test_trial)
{
	struct flows *flows = table();
	struct flow *flow = make(flows, FLOW_CID, 7);

	sweep(flows, 7 + FLOWS_TRIAL_MS - 1);
	ck_assert(lives(flow));
	sweep(flows, 7 + FLOWS_TRIAL_MS);
	ck_assert(!lives(flow));
	end(flows);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, test_datagram_after_the_sweep_began);
	tcase_add_test(tests, test_datagram_after_the_sweep_began_at_the_wrap);
	tcase_add_test(tests, test_idle_without_cid);
	tcase_add_test(tests, test_idle_with_cid);
	tcase_add_test(tests, test_trial);
}
