/* A configuration becomes the running one as a whole or not at all. What parts of other folders see of it. */
#include <errno.h>
#include <stdio.h>

#include <urcu-qsbr.h>

#include "control/apply.h"
#include "control/control.h"
#include "control/state.h"
#include "tests/fixtures/conf_fixture.h"
#include "tests/unit/suite.h"

#define FILE_WITH(backends)                                                                                            \
	"user = \"nobody\"; hash_key = \"000102030405060708090a0b0c0d0e0f\"; workers = 1;\n"                           \
	"listeners = ( { name = \"p\"; address = \"127.0.0.1:5684\"; pool = \"p\"; } );\n"                             \
	"pools = ( { name = \"p\"; protocol = \"udp\"; health = { probe = \"none\"; }; backends = ( " backends         \
	" ); } );\n"
#define ONE FILE_WITH("{ name = \"a\"; address = \"127.0.0.1:7001\"; }")
#define TWO                                                                                                            \
	FILE_WITH("{ name = \"a\"; address = \"127.0.0.1:7001\"; }, "                                                  \
		  "{ name = \"b\"; address = \"127.0.0.1:7002\"; }")

/* What was called, by the letter of the part: Prepare, Commit, Abandon. */
static char calls[64];
static int refusal; /* of part x */

struct part {
	char letter;
};

static void note(char what, const struct part *part)
{
	const size_t len = strlen(calls);

	ck_assert_uint_lt(len + 2, sizeof calls);
	calls[len] = what;
	calls[len + 1] = part->letter;
	calls[len + 2] = '\0';
}

static struct event_base *base;
static struct control *control;

static uint64_t generation(void)
{
	return publisher_read(&control->publisher)->snapshot->generation;
}

static int on_prepare(void *ctx, struct apply_step *step)
{
	const struct part *part = ctx;

	note('P', part);
	ck_assert_ptr_nonnull(step->conf);
	ck_assert_ptr_nonnull(step->table);
	ck_assert_uint_eq(step->spec.backend_count, step->conf->pools[0].backend_count);
	return part->letter == 'x' ? refusal : 0;
}

/* The table is published by then. */
static void on_commit(void *ctx, struct apply_step *step)
{
	note('C', ctx);
	ck_assert_ptr_eq(publisher_read(&control->publisher), step->table);
}

static void on_abandon(void *ctx, struct apply_step *step)
{
	(void)step;
	note('A', ctx);
}

static int apply_text(const char *text)
{
	struct conf_report report;
	struct conf *conf = load_text(&report, text);
	int err;

	ck_assert_str_eq(join_lines(report.errors, report.error_count), "");
	conf_report_free(&report);
	calls[0] = '\0';
	err = apply_conf(control, conf);
	if (err)
		conf_free(conf);
	return err;
}

static void setup(void)
{
	static const struct conf nobody = { .workers = 0 };
	static struct part parts[] = { { 'a' }, { 'x' }, { 'b' } };

	conf_dir_enter();
	rcu_register_thread();
	rcu_thread_offline();
	refusal = 0;
	base = event_base_new();
	ck_assert_ptr_nonnull(base);
	ck_assert_int_eq(control_new(&control, base, &nobody), 0);
	for (int i = 0; i < COUNT_OF(parts); i++)
		ck_assert_int_eq(apply_register(control, &(struct apply_part){ .name = "test",
									       .prepare = on_prepare,
									       .commit = on_commit,
									       .abandon = on_abandon,
									       .ctx = &parts[i] }),
				 0);
	ck_assert_int_eq(apply_text(ONE), 0);
	ck_assert_str_eq(calls, "PaPxPbCaCxCb");
}

static void teardown(void)
{
	control_free(control);
	event_base_free(base);
	rcu_unregister_thread();
	conf_dir_leave();
}

START_TEST(all_commit)
{
	ck_assert_int_eq(apply_text(TWO), 0);
	ck_assert_str_eq(calls, "PaPxPbCaCxCb");
	ck_assert_uint_eq(generation(), 2);
	ck_assert_uint_eq(control_conf(control)->pools[0].backend_count, 2);
}
END_TEST

START_TEST(one_refuses)
{
	const struct conf *before = control_conf(control);

	refusal = -EADDRINUSE;
	ck_assert_int_eq(apply_text(TWO), -EADDRINUSE);
	ck_assert_str_eq(calls, "PaPxAa");
	ck_assert_uint_eq(generation(), 1);
	ck_assert_ptr_eq(control_conf(control), before);
	ck_assert_uint_eq(control->spec.backend_count, 1);
	refusal = 0;
	ck_assert_int_eq(apply_text(TWO), 0);
	ck_assert_uint_eq(generation(), 2);
}
END_TEST

START_TEST(at_most_so_many)
{
	const struct apply_part none = { .name = "none" };

	for (size_t i = control->part_count; i < APPLY_REGISTERED; i++)
		ck_assert_int_eq(apply_register(control, &none), 0);
	ck_assert_int_eq(apply_register(control, &none), -ENOSPC);
	ck_assert_int_eq(apply_text(TWO), 0);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, all_commit);
	tcase_add_test(tests, one_refuses);
	tcase_add_test(tests, at_most_so_many);
}
