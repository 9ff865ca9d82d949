/* What becomes of probes' results: what is logged of the words in servers' answers, which may change with each probe;
 * and what workers are told. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <urcu-qsbr.h>

#include "base/log.h"
#include "control/apply.h"
#include "control/control.h"
#include "control/probe_results.h"
#include "control/state.h"
#include "tests/fixtures/conf_fixture.h"
#include "tests/unit/suite.h"

static const char text[] = "user = \"nobody\"; hash_key = \"000102030405060708090a0b0c0d0e0f\"; workers = 1;\n"
			   "listeners = ( { name = \"p\"; address = \"127.0.0.1:5684\"; pool = \"p\"; } );\n"
			   "pools = ( { name = \"p\"; cid = { scheme = \"node-id\"; length = 6; };\n"
			   "health = { probe = \"none\"; };\n"
			   "backends = ( { name = \"a\"; id = 1; address = \"127.0.0.1:6001\"; } ); } );\n";

static struct event_base *base;
static struct control *control;
static unsigned lines; /* of steering */
static char said[128]; /* by the last one */

/* The linker calls this in place of log_fields() (--wrap). */
void __wrap_log_fields(const struct log_what *what, const char *format, ...) __attribute__((format(printf, 2, 3)));
void __wrap_log_fields(const struct log_what *what, const char *format, ...)
{
	va_list args;

	if (strcmp(what->event, "steering") != 0)
		return;
	va_start(args, format);
	vsnprintf(said, sizeof said, format, args);
	va_end(args);
	lines++;
}

static unsigned told;
static uint16_t told_of;
static enum proxy2_version told_version;

/* In place of the function of this name. */
void __wrap_worker_hear_version(struct worker *const *workers, unsigned count, uint16_t backend,
				enum proxy2_version version);
void __wrap_worker_hear_version(struct worker *const *workers, unsigned count, uint16_t backend,
				enum proxy2_version version)
{
	ck_assert_ptr_eq(workers, control->workers);
	ck_assert_uint_eq(count, control->worker_count);
	told++;
	told_of = backend;
	told_version = version;
}

static void setup(void)
{
	static const struct conf nobody = { .workers = 0 };
	struct conf_report report;

	conf_dir_enter();
	rcu_register_thread();
	rcu_thread_offline();
	lines = 0;
	base = event_base_new();
	ck_assert_int_eq(control_new(&control, base, &nobody), 0);
	ck_assert_int_eq(apply_conf(control, load_text(&report, text)), 0);
	conf_report_free(&report);
}

static void teardown(void)
{
	control_free(control);
	event_base_free(base);
	rcu_unregister_thread();
	conf_dir_leave();
}

static void answer(const char *words)
{
	probe_results_take(control, control->spec.backends[0].uid,
			   &(struct health_result){ .ok = true,
						    .reason = "answered",
						    .words = (const uint8_t *)words,
						    .words_len = strlen(words) });
}

/* Each of them all the time, with another word each time. */
START_TEST(words_that_change_are_told_of_once)
{
	char words[32];

	answer("up");
	ck_assert_uint_eq(lines, 0);
	for (int i = 0; i < 100; i++) {
		snprintf(words, sizeof words, "up maxconn:%d", i);
		answer(words);
	}
	ck_assert_uint_eq(lines, 1);
	ck_assert_str_eq(said, "its answer has the word maxconn:0, which means nothing here");
	for (int i = 0; i < 100; i++) {
		snprintf(words, sizeof words, "%d requests so far", i);
		answer(words);
	}
	ck_assert_uint_eq(lines, 2);
	ck_assert_str_eq(said, "its answer has the word 0, which is none of the agent check's, so it says nothing");
	answer("");
	answer("prose");
	ck_assert_uint_eq(lines, 3);
}
END_TEST

static void probed(bool ok, bool tunnelled, enum proxy2_version version)
{
	probe_results_take(
		control, control->spec.backends[0].uid,
		&(struct health_result){ .ok = ok, .reason = "", .tunnelled = tunnelled, .version = version });
}

START_TEST(workers_are_told_what_a_server_reads)
{
	probed(true, true, PROXY2_V2);
	ck_assert_uint_eq(told, 1);
	ck_assert_uint_eq(told_of, control->spec.backends[0].uid);
	ck_assert_int_eq(told_version, PROXY2_V2);
	/* A probe that asks another port says nothing of it. */
	probed(true, false, PROXY2_V1);
	ck_assert_uint_eq(told, 1);
	probed(true, true, PROXY2_V1);
	ck_assert_uint_eq(told, 2);
	ck_assert_int_eq(told_version, PROXY2_V1);
	probed(false, true, PROXY2_V1);
	ck_assert_uint_eq(told, 3);
	/* Nor does one of an address that is not its own any more. */
	control->backends[control->spec.backends[0].uid].has_moved = true;
	probed(true, true, PROXY2_V2);
	ck_assert_uint_eq(told, 3);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, words_that_change_are_told_of_once);
	tcase_add_test(tests, workers_are_told_what_a_server_reads);
}
