/* The commands, with a control thread that has no workers. Nothing is bound. What they change is read from the
 * published table. */
#include <jansson.h>
#include <urcu-qsbr.h>

#include "admin/command.h"
#include "control/apply.h"
#include "control/state.h"
#include "tests/fixtures/conf_fixture.h"
#include "tests/unit/suite.h"

/* Two pools: p with a and b, q with another a. */
#define BACKEND_A "{ name = \"a\"; id = 1; address = \"127.0.0.1:6001\"; }"
#define BACKEND_B "{ name = \"b\"; id = 2; address = \"127.0.0.1:6002\"; }"
#define FILE_WITH(of_p)                                                                                                \
	"hash_key = \"000102030405060708090a0b0c0d0e0f\"; workers = 1;\n"                                              \
	"listeners = ( { name = \"lp\"; address = \"127.0.0.1:5684\"; pool = \"p\"; },\n"                              \
	"              { name = \"lq\"; address = \"[::1]:5683\"; pool = \"q\"; } );\n"                                \
	"pools = ( { name = \"p\"; cid = { scheme = \"node-id\"; length = 6; }; health = { probe = \"none\"; };\n"     \
	"            backends = ( " of_p " ); },\n"                                                                    \
	"          { name = \"q\"; protocol = \"udp\"; health = { probe = \"none\"; };\n"                              \
	"            backends = ( { name = \"a\"; address = \"127.0.0.1:7001\"; } ); } );\n"

static struct event_base *base;
static struct control *control;
static struct commands *commands;

static struct conf *load_good(const char *text)
{
	struct conf_report report;
	struct conf *conf = load_text(&report, text);

	ck_assert_str_eq(join_lines(report.errors, report.error_count), "");
	conf_report_free(&report);
	return conf;
}

static void setup(void)
{
	/* No workers, and nothing is kept over restarts. */
	static const struct conf nobody = { .workers = 0 };

	conf_dir_enter();
	rcu_register_thread();
	rcu_thread_offline();
	base = event_base_new();
	ck_assert_ptr_nonnull(base);
	ck_assert_int_eq(control_new(&control, base, &nobody), 0);
	ck_assert_int_eq(apply_conf(control, load_good(FILE_WITH(BACKEND_A ", " BACKEND_B))), 0);
	commands = commands_new(control, base);
	ck_assert_ptr_nonnull(commands);
}

static void teardown(void)
{
	commands_free(commands);
	control_free(control);
	event_base_free(base);
	rcu_unregister_thread();
	conf_dir_leave();
}

/* The answer, valid until the next call. */
static json_t *ask(const char *line)
{
	static json_t *answer;
	char *text = commands_answer(commands, NULL, line);

	ck_assert_ptr_nonnull(text);
	ck_assert_ptr_null(strchr(text, '\n'));
	json_decref(answer);
	answer = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	ck_assert_ptr_nonnull(answer);
	free(text);
	return answer;
}

static json_t *ask_ok(const char *line)
{
	json_t *answer = ask(line);

	ck_assert_msg(json_is_true(json_object_get(answer, "ok")), "%s",
		      json_string_value(json_object_get(answer, "error")));
	return answer;
}

static void expect_refusal(const char *line, const char *error)
{
	json_t *answer = ask(line);

	ck_assert(json_is_false(json_object_get(answer, "ok")));
	ck_assert_str_eq(json_string_value(json_object_get(answer, "error")), error);
}

static const struct snapshot *published(void)
{
	return publisher_read(&control->publisher)->snapshot;
}

static const struct snapshot_backend *routed(size_t pool, size_t backend)
{
	return &published()->pools[pool].backends[backend];
}

static void reload_with(const char *text)
{
	write_file(FILE_NAME, 0600, text);
	ask_ok("{\"command\": \"reload\"}");
}

static const struct {
	const char *line, *error;
} refusals[] = {
	{ "", "not JSON: '[' or '{' expected near end of file" },
	{ "[]", "\"command\" is missing" },
	{ "{}", "\"command\" is missing" },
	{ "{\"command\": 1}", "\"command\" is missing" },
	{ "{\"command\": \"stop\"}", "no such command: stop" },
	{ "{\"command\": \"drain\", \"command\": \"drain\"}", "not JSON: duplicate object key near '\"command\"'" },
	{ "{\"command\": \"drain\"}", "\"name\" is missing: a backend, or POOL/BACKEND" },
	{ "{\"command\": \"drain\", \"name\": 7}", "\"name\" is missing: a backend, or POOL/BACKEND" },
	{ "{\"command\": \"drain\", \"name\": \"c\"}", "no backend is called c; `cidlbctl backends` lists them" },
	{ "{\"command\": \"drain\", \"name\": \"\"}", "no backend is called ; `cidlbctl backends` lists them" },
	{ "{\"command\": \"drain\", \"name\": \"q/b\"}", "no backend is called q/b; `cidlbctl backends` lists them" },
	{ "{\"command\": \"drain\", \"name\": \"pp/b\"}", "no backend is called pp/b; `cidlbctl backends` lists them" },
	{ "{\"command\": \"maint\", \"name\": \"/b\"}", "no backend is called /b; `cidlbctl backends` lists them" },
	{ "{\"command\": \"ready\", \"name\": \"a\"}", "a is the name of several backends: say which, as in p/a" },
	{ "{\"command\": \"flows\", \"cid\": \"\"}", "a CID is 1..20 octets in hex" },
	{ "{\"command\": \"flows\", \"cid\": \"012\"}", "a CID is 1..20 octets in hex" },
	{ "{\"command\": \"flows\", \"cid\": \"0g\"}", "a CID is 1..20 octets in hex" },
	{ "{\"command\": \"flows\", \"cid\": \"000102030405060708090a0b0c0d0e0f1011121314\"}",
	  "a CID is 1..20 octets in hex" },
	{ "{\"command\": \"flows\", \"from\": \"x\"}",
	  "an address is A.B.C.D, A.B.C.D:PORT, an IPv6 address or [IPV6]:PORT" },
	{ "{\"command\": \"flows\", \"limit\": 0}", "a limit is a number of 1..1000" },
	{ "{\"command\": \"flows\", \"limit\": 1001}", "a limit is a number of 1..1000" },
	{ "{\"command\": \"trace\", \"seconds\": 1}", "a CID is 1..20 octets in hex" },
	{ "{\"command\": \"trace\", \"cid\": \"0\", \"seconds\": 1}", "a CID is 1..20 octets in hex" },
	{ "{\"command\": \"trace\", \"cid\": \"00\"}", "a trace lasts 1..3600 seconds" },
	{ "{\"command\": \"trace\", \"cid\": \"00\", \"seconds\": 0}", "a trace lasts 1..3600 seconds" },
	{ "{\"command\": \"trace\", \"cid\": \"00\", \"seconds\": 3601}", "a trace lasts 1..3600 seconds" },
	{ "{\"command\": \"trace\", \"cid\": \"00\", \"seconds\": 3600}", "nobody to send a trace to" },
	{ "{\"command\": \"weight\", \"name\": \"b\"}", "a weight is a number of 0..256" },
	{ "{\"command\": \"weight\", \"name\": \"b\", \"weight\": 257}", "a weight is a number of 0..256" },
	{ "{\"command\": \"weight\", \"name\": \"b\", \"weight\": -1}", "a weight is a number of 0..256" },
	{ "{\"command\": \"weight\", \"name\": \"b\", \"weight\": \"1\"}", "a weight is a number of 0..256" },
	{ "{\"command\": \"weight\", \"name\": \"b\", \"weight\": 1.5}", "a weight is a number of 0..256" },
};

START_TEST(refused)
{
	expect_refusal(refusals[_i].line, refusals[_i].error);
	ck_assert_uint_eq(published()->generation, 1);
}
END_TEST

START_TEST(drain_ready_maint)
{
	json_t *backend = json_object_get(ask_ok("{\"command\": \"drain\", \"name\": \"b\"}"), "backend");

	ck_assert_str_eq(json_string_value(json_object_get(backend, "pool")), "p");
	ck_assert_str_eq(json_string_value(json_object_get(backend, "name")), "b");
	ck_assert_str_eq(json_string_value(json_object_get(backend, "state")), "drain");
	ck_assert_int_eq(routed(0, 1)->admin, BACKEND_DRAIN);
	ck_assert_int_eq(routed(0, 0)->admin, BACKEND_READY);
	ck_assert_uint_eq(published()->generation, 2);
	ask_ok("{\"command\": \"maint\", \"name\": \"q/a\"}");
	ck_assert_int_eq(routed(1, 0)->admin, BACKEND_MAINT);
	ck_assert_int_eq(routed(0, 0)->admin, BACKEND_READY);
	ask_ok("{\"command\": \"ready\", \"name\": \"p/b\"}");
	ck_assert_int_eq(routed(0, 1)->admin, BACKEND_READY);
	ck_assert_uint_eq(published()->generation, 4);
	ask_ok("{\"command\": \"ready\", \"name\": \"b\"}");
	ck_assert_uint_eq(published()->generation, 4); /* there was nothing to change */
}
END_TEST

START_TEST(weight)
{
	ask_ok("{\"command\": \"weight\", \"name\": \"p/a\", \"weight\": 0}");
	ck_assert_uint_eq(routed(0, 0)->weight, 0);
	ck_assert(!published()->pools[0].accepts[0]);
	ck_assert(published()->pools[0].accepts[1]);
	ask_ok("{\"command\": \"weight\", \"name\": \"p/a\", \"weight\": 256}");
	ck_assert_uint_eq(routed(0, 0)->weight, 256);
	ck_assert_uint_eq(routed(0, 1)->weight, 100);
	ck_assert_uint_eq(routed(1, 0)->weight, 100);
}
END_TEST

static void drain_and_weigh(void)
{
	ask_ok("{\"command\": \"drain\", \"name\": \"p/a\"}");
	ask_ok("{\"command\": \"weight\", \"name\": \"p/a\", \"weight\": 7}");
	ask_ok("{\"command\": \"drain\", \"name\": \"b\"}");
}

/* The entry of another backend changes, and so does the order. What was set stays with its backend. */
START_TEST(reload_keeps_what_was_set)
{
	drain_and_weigh();
	reload_with(FILE_WITH("{ name = \"c\"; id = 3; address = \"127.0.0.1:6003\"; }, " BACKEND_B ", " BACKEND_A));
	ck_assert_int_eq(routed(0, 0)->admin, BACKEND_READY);
	ck_assert_int_eq(routed(0, 1)->admin, BACKEND_DRAIN);
	ck_assert_int_eq(routed(0, 2)->admin, BACKEND_DRAIN);
	ck_assert_uint_eq(routed(0, 2)->weight, 7);
	ck_assert_uint_eq(routed(0, 1)->weight, 100);
}
END_TEST

static const char *const changed_entries[] = {
	"{ name = \"a\"; id = 1; address = \"127.0.0.1:6001\"; weight = 101; }",
	"{ name = \"a\"; id = 1; address = \"127.0.0.1:6001\"; state = \"maint\"; }",
	"{ name = \"a\"; id = 1; address = \"127.0.0.1:6003\"; }",
	"{ name = \"a\"; id = 4; address = \"127.0.0.1:6001\"; }",
};

START_TEST(reload_of_a_changed_entry)
{
	char text[4096];

	drain_and_weigh();
	snprintf(text, sizeof text, FILE_WITH("%s, " BACKEND_B), changed_entries[_i]);
	reload_with(text);
	ck_assert_int_eq(routed(0, 0)->admin, _i == 1 ? BACKEND_MAINT : BACKEND_READY);
	ck_assert_uint_eq(routed(0, 0)->weight, _i == 0 ? 101 : 100);
	ck_assert_int_eq(routed(0, 1)->admin, BACKEND_DRAIN);
}
END_TEST

/* An entry that was gone for a while is a new one. */
START_TEST(reload_of_an_entry_that_was_gone)
{
	drain_and_weigh();
	reload_with(FILE_WITH(BACKEND_B));
	reload_with(FILE_WITH(BACKEND_A ", " BACKEND_B));
	ck_assert_int_eq(routed(0, 0)->admin, BACKEND_READY);
	ck_assert_uint_eq(routed(0, 0)->weight, 100);
	ck_assert_int_eq(routed(0, 1)->admin, BACKEND_DRAIN);
}
END_TEST

START_TEST(reload_of_a_wrong_file)
{
	json_t *answer;

	drain_and_weigh();
	write_file(FILE_NAME, 0600, FILE_WITH(BACKEND_A ", " BACKEND_A));
	answer = ask("{\"command\": \"reload\"}");
	ck_assert(json_is_false(json_object_get(answer, "ok")));
	ck_assert_str_eq(json_string_value(json_object_get(answer, "error")),
			 "the file has mistakes; the running configuration stays as it was");
	ck_assert_uint_eq(json_array_size(json_object_get(answer, "errors")), 2);
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(answer, "errors"), 0)),
			 "t.conf:5: pools[0].backends[1].name: \"a\" is already the name of backends[0]");
	ck_assert_uint_eq(published()->pools[0].backend_count, 2);
	ck_assert_int_eq(routed(0, 0)->admin, BACKEND_DRAIN);
	ck_assert_uint_eq(routed(0, 0)->weight, 7);
}
END_TEST

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
	tcase_add_loop_test(tests, refused, 0, COUNT_OF(refusals));
	tcase_add_test(tests, drain_ready_maint);
	tcase_add_test(tests, weight);
	tcase_add_test(tests, reload_keeps_what_was_set);
	tcase_add_loop_test(tests, reload_of_a_changed_entry, 0, COUNT_OF(changed_entries));
	tcase_add_test(tests, reload_of_an_entry_that_was_gone);
	tcase_add_test(tests, reload_of_a_wrong_file);
	tcase_add_test(tests, backends);
	tcase_add_test(tests, status);
	tcase_add_test(tests, flows);
	tcase_add_test(tests, flow_moves);
}
