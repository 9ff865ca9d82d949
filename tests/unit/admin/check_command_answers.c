/* What the commands tell: backends, status and flows. */
#include <time.h>

#include "tests/fixtures/command_bed.h"
#include "tests/unit/suite.h"

#define ROW_OF_NOBODY                                                                                                  \
	"\"weight\": 100, \"state\": \"ready\", \"health\": \"up\", \"probed\": false, \"reason\": \"\", "             \
	"\"latency_us\": 0, \"probes_ok\": 0, \"probes_failed\": 0, \"flows\": 0, \"last_cid_s\": null, "              \
	"\"forwarded_up\": 0, \"forwarded_down\": 0, \"octets_up\": 0, \"octets_down\": 0, \"icmp_errors\": 0, "       \
	"\"wrong_interface\": 0, \"foreign_cids\": 0, \"silent_sessions\": 0}"

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

/* One by its name; and of one that drains, whether it may be stopped. */
START_TEST(backends_by_name)
{
	json_t *rows, *drain;

	ask_ok("{\"command\": \"drain\", \"name\": \"b\"}");
	rows = json_object_get(ask_ok("{\"command\": \"backends\", \"name\": \"p/b\"}"), "backends");
	ck_assert_uint_eq(json_array_size(rows), 1);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(rows, 0), "name")), "b");
	drain = json_object_get(json_array_get(rows, 0), "drain");
	ck_assert(json_is_false(json_object_get(drain, "may_stop")));
	ck_assert_int_eq(json_integer_value(json_object_get(drain, "needed_s")), 86400);
	ck_assert_int_le(json_integer_value(json_object_get(drain, "watched_s")), 60);
	ck_assert_int_eq(json_integer_value(json_object_get(drain, "wait_s")),
			 86400 - json_integer_value(json_object_get(drain, "watched_s")));
	ck_assert_int_gt(json_integer_value(json_object_get(drain, "not_before")), (json_int_t)time(NULL) + 86000);
	/* A day passes in silence. */
	control->backends[control->spec.backends[1].uid].drains_since_s -= 86400;
	rows = json_object_get(ask_ok("{\"command\": \"backends\", \"name\": \"b\"}"), "backends");
	drain = json_object_get(json_array_get(rows, 0), "drain");
	ck_assert(json_is_true(json_object_get(drain, "may_stop")));
	ck_assert(json_is_null(json_object_get(drain, "not_before")));
	ck_assert_int_eq(json_integer_value(json_object_get(drain, "wait_s")), 0);
	rows = json_object_get(ask_ok("{\"command\": \"backends\", \"name\": \"p/a\"}"), "backends");
	ck_assert_ptr_null(json_object_get(json_array_get(rows, 0), "drain"));
	ck_assert(json_is_false(json_object_get(ask("{\"command\": \"backends\", \"name\": \"c\"}"), "ok")));
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
	for (enum flow_class class = 0; class < FLOW_CLASSES; class ++)
		ck_assert(json_is_integer(json_object_get(json_object_get(pool, "flows"), flow_class_name(class))));
	ck_assert(json_is_integer(json_object_get(pool, "withheld")));
	ck_assert(json_is_integer(json_object_get(pool, "own_endpoint")));
	ck_assert_str_eq(json_string_value(json_object_get(listener, "address")), "[::1]:5683");
	ck_assert_str_eq(json_string_value(json_object_get(listener, "pool")), "q");
}
END_TEST

static struct ownership_pair pair_of(const char *text)
{
	struct ownership_pair pair = { .service = control->listener_uids[0] };

	ck_assert_int_eq(addr_parse(&pair.device, text), 0);
	return pair;
}

/* A session of p's backend b, which the handshake of 192.0.2.CID[1]:4000 has made. */
static struct flow *make_session(const uint8_t cid[static 6])
{
	const struct table *table = publisher_read(&control->publisher);
	struct ownership_pair device = pair_of("192.0.2.0:4000");
	struct flow *flow;

	device.device.ip[15] = cid[1];
	rcu_thread_online();
	flow = flows_make(
		control->flows,
		&(struct flow_new){
			.key = { .kind = FLOW_CID, .pool = control->spec.pools[0].uid, .cid_len = 6, .cid = cid },
			.backend = control->spec.backends[1].uid,
			.backend_addr = control->spec.backends[1].addr,
			.space = &table->pools[0].space,
			.endpoint_hash = cid[1],
			.source = &device.device,
			.now_ms = worker_clock_ms(),
		});
	rcu_thread_offline();
	ck_assert_ptr_nonnull(flow);
	ownership_prove(&flow->session, &device);
	return flow;
}

static json_t *first_flow(const char *line)
{
	return json_array_get(json_object_get(ask_ok(line), "flows"), 0);
}

/* Other addresses show its CID: they are told, with what is known of them. */
START_TEST(flow_of_several_addresses)
{
	static const char line[] = "{\"command\": \"flows\", \"from\": \"198.51.100.9\"}";
	const struct ownership_pair others[] = { pair_of("198.51.100.9:5000"), pair_of("198.51.100.8:5000") };
	struct flow *flow = make_session((const uint8_t[6]){ 2, 1 });
	json_t *row, *expected;

	flow->session.places[1] = (struct ownership_place){ .pair = others[0], .taken = true, .answered = true };
	flow->session.places[3] =
		(struct ownership_place){ .pair = others[1], .taken = true, .known = true, .withheld = true };
	row = first_flow(line);
	ck_assert_str_eq(json_string_value(json_object_get(row, "device")), "192.0.2.1:4000");
	ck_assert(json_is_true(json_object_get(row, "proven")));
	expected = json_loads("[{\"address\": \"198.51.100.9:5000\", \"answered\": true, \"known\": false, "
			      "\"withheld\": false}, "
			      "{\"address\": \"198.51.100.8:5000\", \"answered\": false, \"known\": true, "
			      "\"withheld\": true}]",
			      0, NULL);
	ck_assert_ptr_nonnull(expected);
	ck_assert(json_equal(json_object_get(row, "unproven"), expected));
	json_decref(expected);
}
END_TEST

/* A session of which only other addresses are known, as after a restart. */
START_TEST(flow_of_nobody)
{
	struct flow *flow = make_session((const uint8_t[6]){ 2, 1 });
	json_t *row;

	flow->session.has_proven = false;
	row = first_flow("{\"command\": \"flows\"}");
	ck_assert(json_is_null(json_object_get(row, "device")));
	ck_assert(json_is_null(json_object_get(row, "listener")));
	ck_assert(json_is_false(json_object_get(row, "proven")));
	ck_assert_uint_eq(json_array_size(json_object_get(row, "unproven")), 0);
	flow->session.places[2] = (struct ownership_place){ .pair = pair_of("198.51.100.9:5000"), .taken = true };
	row = first_flow("{\"command\": \"flows\"}");
	ck_assert(json_is_null(json_object_get(row, "device")));
	ck_assert_str_eq(json_string_value(json_object_get(row, "listener")), "lp");
	ck_assert_uint_eq(json_array_size(json_object_get(row, "unproven")), 1);
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
	ck_assert_str_eq(json_string_value(json_object_get(flow, "device")), "192.0.2.1:4000");
	ck_assert_int_eq(strncmp(json_string_value(json_object_get(flow, "endpoint")), "127.", 4), 0);
	ck_assert(json_is_true(json_object_get(flow, "proven")));
	ck_assert_uint_eq(json_array_size(json_object_get(flow, "unproven")), 0);
	ck_assert_str_eq(json_string_value(json_object_get(flow, "class")), "handshake");
	ck_assert_int_lt(json_integer_value(json_object_get(flow, "last_up_ms_ago")), 10000);
	ck_assert(json_is_null(json_object_get(flow, "last_down_ms_ago")));
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, backends);
	tcase_add_test(tests, backends_by_name);
	tcase_add_test(tests, status);
	tcase_add_test(tests, flows);
	tcase_add_test(tests, flow_of_several_addresses);
	tcase_add_test(tests, flow_of_nobody);
}
