/* The commands that change something, and those that are refused. What they change is read from the published table. */
#include "tests/fixtures/command_bed.h"
#include "tests/unit/suite.h"

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
	{ "{\"command\": \"trace\", \"seconds\": 1}", "a trace is of a CID or of an address" },
	{ "{\"command\": \"trace\", \"cid\": \"00\", \"from\": \"10.0.0.1\", \"seconds\": 1}",
	  "a trace is of a CID or of an address" },
	{ "{\"command\": \"trace\", \"from\": \"10.0.0\", \"seconds\": 1}",
	  "an address is A.B.C.D, A.B.C.D:PORT, an IPv6 address or [IPV6]:PORT" },
	{ "{\"command\": \"trace\", \"from\": \"10.0.0.1\", \"seconds\": 3600}", "nobody to send a trace to" },
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
	/* Nobody asked for it to outlive a restart. */
	ck_assert(json_is_null(json_object_get(ask_ok("{\"command\": \"maint\", \"name\": \"q/a\"}"), "kept")));
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

static const char *said(const json_t *answer, const char *key, size_t at)
{
	return json_string_value(json_array_get(json_object_get(answer, key), at));
}

START_TEST(reload_of_what_waits)
{
	json_t *answer;

	write_file(FILE_NAME, 0600,
		   FILE_WITH(BACKEND_A ", " BACKEND_B) "state_file = \"/x\"; "
						       "admin = { socket = \"/y\"; };\n");
	answer = ask_ok("{\"command\": \"reload\"}");
	ck_assert_uint_eq(json_array_size(json_object_get(answer, "waits")), 4);
	ck_assert_str_eq(said(answer, "waits", 0), "workers: 1 takes effect at the next start");
	ck_assert_str_eq(said(answer, "waits", 1), "user: \"nobody\" takes effect at the next start");
	ck_assert_str_eq(said(answer, "waits", 2), "state_file: \"/x\" takes effect at the next start");
	ck_assert_str_eq(said(answer, "waits", 3), "admin.socket: \"/y\" takes effect at the next start");
}
END_TEST

/* Nobody probes here. */
static void set_probed(bool probed)
{
	for (size_t i = 0; i < control->spec.backend_count; i++)
		control->states[control->spec.backends[i].uid].probed = probed;
}

/* Its readiness. `why`: "" if it is ready. */
static void expect_ready(const char *why, bool left)
{
	const json_t *status = ask_ok("{\"command\": \"status\"}");

	ck_assert_str_eq(json_string_value(json_object_get(status, "unready")), why);
	ck_assert_int_eq(json_is_true(json_object_get(status, "ready")), !*why);
	ck_assert_int_eq(json_is_true(json_object_get(status, "left")), left);
}

#define TOLD "told to leave; `cidlbctl join` takes that back"

START_TEST(leave_and_join)
{
	json_t *answer;

	set_probed(true);
	expect_ready("", false);
	answer = ask_ok("{\"command\": \"leave\"}");
	ck_assert(json_is_true(json_object_get(answer, "left")) && json_is_false(json_object_get(answer, "ready")));
	ck_assert_str_eq(json_string_value(json_object_get(answer, "unready")), TOLD);
	expect_ready(TOLD, true);
	reload_with(FILE_WITH(BACKEND_B));
	expect_ready(TOLD, true);
	answer = ask_ok("{\"command\": \"join\"}");
	ck_assert(json_is_false(json_object_get(answer, "left")) && json_is_true(json_object_get(answer, "ready")));
	expect_ready("", false);
}
END_TEST

START_TEST(ready_with_a_server_in_each_pool)
{
	expect_ready("not every backend was probed yet: 3 of 3 missing", false);
	set_probed(true);
	expect_ready("", false);
	ask_ok("{\"command\": \"maint\", \"name\": \"p/a\"}");
	expect_ready("", false);
	ask_ok("{\"command\": \"drain\", \"name\": \"p/b\"}");
	expect_ready("", false);
	ask_ok("{\"command\": \"maint\", \"name\": \"p/b\"}");
	expect_ready("pool p has no backend that is up", false);
	ask_ok("{\"command\": \"ready\", \"name\": \"p/b\"}");
	ask_ok("{\"command\": \"maint\", \"name\": \"q/a\"}");
	expect_ready("pool q has no backend that is up", false);
	ask_ok("{\"command\": \"ready\", \"name\": \"q/a\"}");
	expect_ready("", false);
	control->spec.backends[2].addr = (struct addr){ 0 }; /* its name has none */
	expect_ready("pool q has no backend that is up", false);
}
END_TEST

static int refuse(void *ctx, struct apply_step *step)
{
	(void)ctx;
	return apply_refuse(step, -EBUSY, "%s is busy", "the part");
}

/* By what it is made of, and not by the file. */
START_TEST(reload_that_is_refused)
{
	json_t *answer;

	ck_assert_int_eq(apply_register(control, &(struct apply_part){ .name = "test", .prepare = refuse }), 0);
	answer = ask("{\"command\": \"reload\"}");
	ck_assert(json_is_false(json_object_get(answer, "ok")));
	ck_assert_str_eq(json_string_value(json_object_get(answer, "error")),
			 "the part is busy; the running configuration stays as it was");
	ck_assert_uint_eq(json_array_size(json_object_get(answer, "errors")), 0);
	ck_assert_uint_eq(json_array_size(json_object_get(answer, "waits")), 0);
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
	tcase_add_test(tests, reload_of_what_waits);
	tcase_add_test(tests, leave_and_join);
	tcase_add_test(tests, ready_with_a_server_in_each_pool);
	tcase_add_test(tests, reload_that_is_refused);
}
