/* What the commands tell: backends, status and flows. */
#include "tests/fixtures/command_bed.h"
#include "tests/unit/suite.h"

#define ROW_OF_NOBODY                                                                                                  \
	"\"weight\": 100, \"state\": \"ready\", \"health\": \"up\", \"probed\": false, \"reason\": \"\", "             \
	"\"latency_us\": 0, \"flows\": "                                                                               \
	"0, "                                                                                                          \
	"\"last_cid_s\": null, \"forwarded_up\": 0, \"forwarded_down\": 0}"

START_TEST(backends)
{
	json_t *rows = json_object_get(ask_ok("{\"command\": \"backends\"}"), "backends"), *row;
	json_t *expected = json_loads(
		"[{\"pool\": \"p\", \"name\": \"a\", \"ids\": [\"01\"], \"address\": \"127.0.0.1:6001\", " ROW_OF_NOBODY
		", "
		"{\"pool\": \"p\", \"name\": \"b\", \"ids\": [\"02\"], \"address\": \"127.0.0.1:6002\", " ROW_OF_NOBODY
		", "
		"{\"pool\": \"q\", \"name\": \"a\", \"ids\": [], \"address\": \"127.0.0.1:7001\", " ROW_OF_NOBODY "]",
		0, NULL);
	size_t i;

	ck_assert_ptr_nonnull(expected);
	json_array_foreach(rows, i, row)
	{
		ck_assert_int_le(json_integer_value(json_object_get(row, "since_s")), 60);
		ck_assert_int_eq(json_object_del(row, "since_s"), 0);
	}
	ck_assert_msg(json_equal(rows, expected), "%s", json_dumps(rows, JSON_INDENT(1)));
	json_decref(expected);
}
END_TEST

START_TEST(status)
{
	json_t *answer, *pool, *listener;

	ask_ok("{\"command\": \"drain\", \"name\": \"b\"}");
	answer = ask_ok("{\"command\": \"status\"}");
	pool = json_array_get(json_object_get(answer, "pools"), 0);
	listener = json_array_get(json_object_get(answer, "listeners"), 1);
	ck_assert_str_eq(json_string_value(json_object_get(answer, "version")), CIDLB_VERSION);
	ck_assert_str_eq(json_string_value(json_object_get(answer, "file")), FILE_NAME);
	ck_assert_uint_eq(strlen(json_string_value(json_object_get(answer, "fingerprint"))), 16);
	ck_assert_int_eq(json_integer_value(json_object_get(answer, "generation")), 2);
	ck_assert(json_is_false(json_object_get(answer, "ready")));
	ck_assert_uint_eq(json_object_size(json_object_get(answer, "verdicts")), VERDICTS);
	ck_assert_uint_eq(json_array_size(json_object_get(answer, "pools")), 2);
	ck_assert_str_eq(json_string_value(json_object_get(pool, "name")), "p");
	ck_assert_int_eq(json_integer_value(json_object_get(pool, "backends")), 2);
	ck_assert_int_eq(json_integer_value(json_object_get(pool, "accepting")), 1);
	ck_assert(json_is_integer(json_object_get(json_object_get(pool, "flows"), "proven")));
	ck_assert_str_eq(json_string_value(json_object_get(listener, "address")), "[::1]:5683");
	ck_assert_str_eq(json_string_value(json_object_get(listener, "pool")), "q");
}
END_TEST

/* 192.0.2.CID[1]:4000 owns session CID of p's backend b. */
static void make_session(const uint8_t cid[static 6])
{
	const struct table *table = publisher_read(&control->publisher);
	struct ownership_peer owner = { .service = control->listener_uids[0] };
	struct flow *flow;

	ck_assert_int_eq(addr_parse(&owner.device, "192.0.2.0:4000"), 0);
	owner.device.ip[15] = cid[1];
	rcu_thread_online();
	flow = flows_make(
		control->flows,
		&(struct flow_new){
			.key = { .kind = FLOW_CID, .pool = control->spec.pools[0].uid, .cid_len = 6, .cid = cid },
			.backend = control->spec.backends[1].uid,
			.backend_addr = control->spec.backends[1].addr,
			.space = &table->pools[0].space,
			.endpoint_hash = cid[1],
			.owner = owner,
			.now_ms = worker_clock_ms(),
		});
	rcu_thread_offline();
	ck_assert_ptr_nonnull(flow);
}

/* What the session's flow says under `key`. */
static const char *said(const char *line, const char *key)
{
	return json_string_value(json_object_get(json_array_get(json_object_get(ask_ok(line), "flows"), 0), key));
}

/* The owner is unproven. 198.51.100.9 sends, and sends again after an answer. */
START_TEST(flow_moves)
{
	static const char line[] = "{\"command\": \"flows\", \"from\": \"198.51.100.9\"}";
	static const uint8_t cid[6] = { 2, 1 };
	static const struct ownership_times times = { 5000, 60000 };
	const struct flow_key key = { .kind = FLOW_CID, .pool = control->spec.pools[0].uid, .cid_len = 6, .cid = cid };
	struct ownership_peer further = { .service = control->listener_uids[0] }, to[OWNERSHIP_WAYS_BACK];
	struct flow *flow;
	bool contest_began;

	make_session(cid);
	ck_assert_int_eq(addr_parse(&further.device, "198.51.100.9:5000"), 0);
	rcu_thread_online();
	flow = flows_find(control->flows, &key);
	rcu_thread_offline();
	ownership_uplink(&flow->ownership, &times, &further, 100, worker_clock_ms(), &contest_began);
	ck_assert_str_eq(said(line, "claimant"), "198.51.100.9:5000");
	ck_assert_str_eq(said(line, "owner"), "192.0.2.1:4000");
	ck_assert_uint_ge(ownership_downlink(&flow->ownership, 50, to), 1);
	ownership_uplink(&flow->ownership, &times, &further, 100, worker_clock_ms(), &contest_began);
	ck_assert_str_eq(said(line, "owner"), "198.51.100.9:5000");
	ck_assert_ptr_null(said(line, "claimant"));
}
END_TEST

static json_int_t matched(const char *line, size_t shown)
{
	json_t *answer = ask_ok(line);

	ck_assert_uint_eq(json_array_size(json_object_get(answer, "flows")), shown);
	return json_integer_value(json_object_get(answer, "matched"));
}

START_TEST(flows)
{
	static const uint8_t cids[3][6] = { { 2, 1, 3, 4, 5, 6 }, { 2, 2, 3, 4, 5, 6 }, { 2, 3, 3, 4, 5, 6 } };
	json_t *flow;

	ck_assert_int_eq(matched("{\"command\": \"flows\"}", 0), 0);
	for (int i = 0; i < COUNT_OF(cids); i++)
		make_session(cids[i]);
	ck_assert_int_eq(matched("{\"command\": \"flows\"}", 3), 3);
	ck_assert_int_eq(matched("{\"command\": \"flows\", \"limit\": 2}", 2), 3);
	ck_assert_int_eq(matched("{\"command\": \"flows\", \"cid\": \"020203040506\"}", 1), 1);
	ck_assert_int_eq(matched("{\"command\": \"flows\", \"cid\": \"0202030405\"}", 0), 0);
	ck_assert_int_eq(matched("{\"command\": \"flows\", \"from\": \"192.0.2.2\"}", 1), 1);
	ck_assert_int_eq(matched("{\"command\": \"flows\", \"from\": \"192.0.2.2:4000\"}", 1), 1);
	ck_assert_int_eq(matched("{\"command\": \"flows\", \"from\": \"192.0.2.2:4001\"}", 0), 0);
	ck_assert_int_eq(matched("{\"command\": \"flows\", \"from\": \"2001:db8::2\"}", 0), 0);
	flow = json_array_get(json_object_get(ask_ok("{\"command\": \"flows\", \"cid\": \"020103040506\"}"), "flows"),
			      0);
	ck_assert_str_eq(json_string_value(json_object_get(flow, "kind")), "cid");
	ck_assert_str_eq(json_string_value(json_object_get(flow, "cid")), "020103040506");
	ck_assert_str_eq(json_string_value(json_object_get(flow, "listener")), "lp");
	ck_assert_str_eq(json_string_value(json_object_get(flow, "pool")), "p");
	ck_assert_str_eq(json_string_value(json_object_get(flow, "backend")), "b");
	ck_assert_str_eq(json_string_value(json_object_get(flow, "backend_address")), "127.0.0.1:6002");
	ck_assert_str_eq(json_string_value(json_object_get(flow, "owner")), "192.0.2.1:4000");
	ck_assert_int_eq(strncmp(json_string_value(json_object_get(flow, "endpoint")), "127.", 4), 0);
	ck_assert(json_is_null(json_object_get(flow, "claimant")));
	ck_assert(json_is_null(json_object_get(flow, "replaced")));
	ck_assert(json_is_true(json_object_get(flow, "trial")));
	ck_assert(json_is_false(json_object_get(flow, "contest")));
	ck_assert_int_lt(json_integer_value(json_object_get(flow, "last_up_ms_ago")), 10000);
	ck_assert(json_is_null(json_object_get(flow, "last_down_ms_ago")));
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, backends);
	tcase_add_test(tests, status);
	tcase_add_test(tests, flows);
	tcase_add_test(tests, flow_moves);
}
