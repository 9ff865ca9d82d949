/* May a server that drains be stopped? What the state file lets a cidlb say that has just started, and what it has. */
#include <stdio.h>
#include <string.h>

#include <jansson.h>
#include <urcu-qsbr.h>

#include "base/clock.h"
#include "control/apply.h"
#include "control/drain.h"
#include "control/state.h"
#include "control/wishes.h"
#include "tests/fixtures/conf_fixture.h"
#include "tests/unit/suite.h"

enum { WINDOW_S = 900 };

#define FILE_WITH(cid, backends)                                                                                       \
	"user = \"nobody\"; hash_key = \"000102030405060708090a0b0c0d0e0f\"; workers = 1;\n"                           \
	"listeners = ( { name = \"p\"; address = \"127.0.0.1:5684\"; pool = \"p\"; } );\n"                             \
	"pools = ( { name = \"p\"; cid = { " cid " }; health = { probe = \"none\"; };\n"                               \
	"nat = { cid_idle_s = 900; }; backends = ( " backends " ); } );\n"
#define NODE_ID "scheme = \"node-id\"; length = 6;"
#define A       "{ name = \"a\"; id = 1; address = \"127.0.0.1:6001\"; }"
#define B       "{ name = \"b\"; id = 2; address = \"127.0.0.1:6002\"; state = \"drain\"; }"

static struct event_base *base;
static struct control *control;
static char state_file[128], boot[64];
static int64_t now_s = 100000;

/* The clock of everything here. */
int64_t __wrap_clock_s(void);
int64_t __wrap_clock_s(void)
{
	return now_s;
}

static void apply(const char *text)
{
	struct conf_report report;
	struct conf *conf = load_text(&report, text);

	ck_assert_str_eq(join_lines(report.errors, report.error_count), "");
	conf_report_free(&report);
	ck_assert_int_eq(apply_conf(control, conf), 0);
}

static void control_begin(void)
{
	struct conf nobody = { .workers = 0, .state_file = state_file };

	ck_assert_int_eq(control_new(&control, base, &nobody), 0);
	apply(FILE_WITH(NODE_ID, A ", " B));
}

static void setup(void)
{
	FILE *in = fopen("/proc/sys/kernel/random/boot_id", "r");

	ck_assert_ptr_nonnull(in);
	ck_assert_int_eq(fscanf(in, "%63s", boot), 1);
	fclose(in);
	conf_dir_enter();
	ck_assert_ptr_nonnull(getcwd(state_file, sizeof state_file - 16));
	strcat(state_file, "/state.json");
	rcu_register_thread();
	rcu_thread_offline();
	base = event_base_new();
}

static void teardown(void)
{
	control_free(control);
	event_base_free(base);
	rcu_unregister_thread();
	unlink(state_file);
	unlink("p.sessions");
	conf_dir_leave();
}

static struct control_backend *known(const char *name)
{
	for (size_t i = 0; i < control->spec.backend_count; i++)
		if (strcmp(control->spec.backends[i].name, name) == 0)
			return &control->backends[control->spec.backends[i].uid];
	ck_abort_msg("no %s", name);
}

static json_t *file_load(void)
{
	json_t *root = json_load_file(state_file, 0, NULL);

	ck_assert_ptr_nonnull(root);
	return root;
}

/* What the file knows of b, in seconds before now. 0: nothing. */
static const struct {
	bool other_boot, other_entry;
	int64_t at, since, cid;
	int64_t watched; /* for so long it drains and is watched: what is to be made of that */
} recalls[] = {
	{ .at = 1, .since = 100, .watched = 100 },
	{ .at = DRAIN_GAP_S, .since = 100, .cid = 40, .watched = 100 },
	/* a gap */
	{ .at = DRAIN_GAP_S + 1, .since = 100, .watched = 0 },
	{ .at = -1, .since = 100, .watched = 0 },
	{ .other_boot = true, .at = 1, .since = 100, .watched = 0 },
	/* other CIDs, perhaps another server */
	{ .other_entry = true, .at = 1, .since = 100, .watched = 0 },
	/* it did not drain */
	{ .at = 1, .cid = 10, .watched = 0 },
	/* nobody was left before the gap */
	{ .at = 100, .since = 100 + WINDOW_S, .watched = WINDOW_S },
	{ .at = 100, .since = 5000, .cid = 100 + WINDOW_S, .watched = WINDOW_S },
	{ .other_boot = true, .at = 100, .since = 100 + WINDOW_S, .watched = WINDOW_S },
	{ .at = 1, .since = 5000, .watched = 5000 },
	/* somebody was */
	{ .at = 100, .since = 99 + WINDOW_S, .watched = 0 },
	{ .at = 100, .since = 5000, .cid = 200, .watched = 0 },
	{ .other_boot = true, .at = 100, .since = 5000, .cid = 200, .watched = 0 },
};

START_TEST(recalled)
{
	json_t *watch = json_pack("{s:{s:s, s:s, s:i, s:s}}", "entry", "id", "02", "address",
				  recalls[_i].other_entry ? "127.0.0.1:6003" : "127.0.0.1:6002", "weight", 100, "state",
				  "drain");
	json_t *root =
		json_pack("{s:i, s:{}, s:{}, s:{s:s, s:I, s:{s:{s:o}}}}", "version", 1, "backends", "addresses",
			  "watched", "boot", recalls[_i].other_boot ? "00000000-0000-0000-0000-000000000000" : boot,
			  "at", (json_int_t)(now_s - recalls[_i].at), "backends", "p", "b", watch);

	if (recalls[_i].since)
		json_object_set_new(watch, "since", json_integer(now_s - recalls[_i].since));
	if (recalls[_i].cid)
		json_object_set_new(watch, "cid", json_integer(now_s - recalls[_i].cid));
	ck_assert_int_eq(json_dump_file(root, state_file, 0), 0);
	json_decref(root);
	control_begin();
	ck_assert(known("b")->drains);
	ck_assert(!known("a")->drains);
	ck_assert_int_eq(now_s - known("b")->drains_since_s, recalls[_i].watched);
}
END_TEST

START_TEST(a_damaged_watch)
{
	static const char *const faults[] = {
		"[]",
		"{\"boot\": 1, \"at\": 1, \"backends\": {}}",
		"{\"boot\": \"\", \"at\": \"1\", \"backends\": {}}",
		"{\"boot\": \"\", \"at\": 1}",
		"{\"boot\": \"\", \"at\": 1, \"backends\": {\"p\": 1}}",
		"{\"boot\": \"\", \"at\": 1, \"backends\": {\"p\": {\"b\": {}}}}",
		"{\"boot\": \"\", \"at\": 1, \"backends\": {\"p\": {\"b\": {\"entry\": {}, \"since\": \"1\"}}}}",
	};
	FILE *out = fopen(state_file, "w");

	fprintf(out, "{\"version\": 1, \"backends\": {}, \"addresses\": {}, \"watched\": %s}", faults[_i]);
	fclose(out);
	control_begin();
	strcat(state_file, ".bad");
	ck_assert_int_eq(access(state_file, F_OK), 0);
}
END_TEST

/* The file gets times in steps, and nothing new once it is known that the server may be stopped. */
START_TEST(ticks)
{
	json_t *root, *watch;
	int64_t at_s;

	control_begin();
	drain_tick(control);
	ck_assert_int_eq(saved_save(control->saved), 0);
	root = file_load();
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(root, "watched"), "boot")), boot);
	at_s = json_integer_value(json_object_get(json_object_get(root, "watched"), "at"));
	ck_assert_int_eq(at_s, now_s / DRAIN_STEP_S * DRAIN_STEP_S);
	watch = json_object_get(json_object_get(json_object_get(root, "watched"), "backends"), "p");
	ck_assert_uint_eq(json_object_size(watch), 1);
	ck_assert_ptr_nonnull(json_object_get(json_object_get(watch, "b"), "since"));
	json_decref(root);

	known("b")->drains_since_s -= WINDOW_S;
	drain_tick(control);
	(void)saved_save(control->saved);
	root = file_load();
	at_s = json_integer_value(json_object_get(json_object_get(root, "watched"), "at"));
	ck_assert_int_eq(at_s, now_s);
	json_decref(root);
	ck_assert_int_eq(unlink(state_file), 0);
	for (int i = 0; i < 3; i++) {
		now_s += DRAIN_STEP_S;
		drain_tick(control);
		(void)saved_save(control->saved);
		ck_assert_int_eq(access(state_file, F_OK), -1);
	}

	ck_assert_int_eq(wishes_set_admin(control, control->spec.backends[1].uid, BACKEND_READY), 0);
	drain_tick(control);
	ck_assert_int_eq(saved_save(control->saved), 0);
	root = file_load();
	ck_assert_ptr_null(json_object_get(root, "watched"));
	json_decref(root);
}
END_TEST

static const struct {
	const char *text;
	bool begins_anew;
} reloads[] = {
	{ FILE_WITH(NODE_ID, A ", " B), false },
	{ FILE_WITH(NODE_ID, B), false },
	{ FILE_WITH(NODE_ID,
		    A ", { name = \"b\"; id = 2; address = \"127.0.0.1:6002\"; state = \"drain\"; weight = 7; }"),
	  false },
	{ FILE_WITH(NODE_ID, A ", { name = \"b\"; id = 3; address = \"127.0.0.1:6002\"; state = \"drain\"; }"), true },
	{ FILE_WITH(NODE_ID, A ", { name = \"b\"; id = 2; address = \"127.0.0.1:6003\"; state = \"drain\"; }"), true },
	{ FILE_WITH("scheme = \"node-id\"; length = 8;", A ", " B), true },
};

START_TEST(reloaded)
{
	const int64_t since_s = now_s - 100;

	control_begin();
	known("b")->drains_since_s = since_s;
	apply(reloads[_i].text);
	if (reloads[_i].begins_anew)
		ck_assert_int_eq(known("b")->drains_since_s, now_s);
	else
		ck_assert_int_eq(known("b")->drains_since_s, since_s);
}
END_TEST

/* Away for a reload, or ready for a moment: sessions may have begun. */
START_TEST(begins_anew)
{
	control_begin();
	known("b")->drains_since_s = now_s - 100;
	apply(FILE_WITH(NODE_ID, A));
	apply(FILE_WITH(NODE_ID, A ", " B));
	ck_assert_int_eq(known("b")->drains_since_s, now_s);

	const uint16_t uid = control->spec.backends[1].uid;
	known("b")->drains_since_s = now_s - 100;
	ck_assert_int_eq(wishes_set_admin(control, uid, BACKEND_MAINT), 0);
	ck_assert(!known("b")->drains);
	ck_assert_int_eq(wishes_set_admin(control, uid, BACKEND_DRAIN), 0);
	ck_assert_int_eq(known("b")->drains_since_s, now_s);
	/* It got an id, so sessions of another server are its own now. */
	known("b")->drains_since_s = now_s - 100;
	drain_forget(control, uid);
	drain_follow(control);
	ck_assert_int_eq(known("b")->drains_since_s, now_s);
}
END_TEST

START_TEST(window)
{
	struct conf_pool pool = { .forward = FORWARD_NAT,
				  .nat = { .idle_s = 1, .cid_idle_s = 2 },
				  .tunnel = { .cid_idle_s = 3 } };

	control_begin();
	pool.layout = control->conf->pools[0].layout;
	ck_assert_int_eq(drain_window_s(&pool), 2);
	pool.forward = FORWARD_TUNNEL;
	ck_assert_int_eq(drain_window_s(&pool), 3);
	pool.layout = (struct cid_layout){ .scheme = CID_LAYOUT_HASH, .length = 6 };
	ck_assert_int_eq(drain_window_s(&pool), 300);
	pool.forward = FORWARD_NAT;
	ck_assert_int_eq(drain_window_s(&pool), 1);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, recalled, 0, COUNT_OF(recalls));
	tcase_add_loop_test(tests, a_damaged_watch, 0, 7);
	tcase_add_test(tests, ticks);
	tcase_add_loop_test(tests, reloaded, 0, COUNT_OF(reloads));
	tcase_add_test(tests, begins_anew);
	tcase_add_test(tests, window);
}
