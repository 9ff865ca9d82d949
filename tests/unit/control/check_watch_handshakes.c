/* What handshakes show is told of once, whatever reloads make of the servers. */
#include <stdlib.h>
#include <unistd.h>

#include <urcu-qsbr.h>

#include "control/apply.h"
#include "control/state.h"
#include "control/watch_handshakes.h"
#include "tests/fixtures/conf_fixture.h"
#include "tests/unit/suite.h"

#define FILE_WITH(backends) FILE_OF(L, backends)
#define FILE_OF(listeners, backends)                                                                                   \
	"user = \"nobody\"; hash_key = \"000102030405060708090a0b0c0d0e0f\"; workers = 1;\n"                           \
	"listeners = ( " listeners " );\n"                                                                             \
	"pools = ( { name = \"p\"; cid = { scheme = \"node-id\"; length = 6; }; health = { probe = \"none\"; };\n"     \
	"backends = ( " backends " ); } );\n"
#define L     "{ name = \"p\"; address = \"127.0.0.1:5684\"; pool = \"p\"; }"
#define M     "{ name = \"q\"; address = \"127.0.0.1:5685\"; pool = \"p\"; }"
#define A     "{ name = \"a\"; id = 1; address = \"127.0.0.1:6001\"; }"
#define A_NEW "{ name = \"a\"; id = 1; address = \"127.0.0.1:6009\"; }"
#define B     "{ name = \"b\"; id = 2; address = \"127.0.0.1:6002\"; }"

static struct event_base *base;
static struct control *control;
static struct stats *sum;

static void apply(const char *text)
{
	struct conf_report report;
	struct conf *conf = load_text(&report, text);

	ck_assert_str_eq(join_lines(report.errors, report.error_count), "");
	conf_report_free(&report);
	ck_assert_int_eq(apply_conf(control, conf), 0);
}

static void setup(void)
{
	static const struct conf nobody = { .workers = 0 };

	conf_dir_enter();
	rcu_register_thread();
	rcu_thread_offline();
	base = event_base_new();
	sum = calloc(1, sizeof *sum);
	ck_assert_ptr_nonnull(sum);
	ck_assert_int_eq(control_new(&control, base, &nobody), 0);
	apply(FILE_WITH(A ", " B));
}

static void teardown(void)
{
	control_free(control);
	free(sum);
	event_base_free(base);
	rcu_unregister_thread();
	conf_dir_leave();
}

static struct control_backend *first(void)
{
	return &control->backends[control->spec.backends[0].uid];
}

/* Told of, and over. */
static void foreign_cids(uint64_t count)
{
	sum->foreign_cids[control->spec.backends[0].uid] += count;
	watch_handshakes(control, sum);
	ck_assert(first()->foreign.lasts);
	for (int i = 0; i < SHORTAGE_QUIET_LOOKS; i++)
		watch_handshakes(control, sum);
	ck_assert(!first()->foreign.lasts);
}

/* The counters go on, so what a reload forgets would be told of again. */
START_TEST(a_reload_repeats_nothing)
{
	foreign_cids(5);
	apply(FILE_WITH(A_NEW ", " B));
	watch_handshakes(control, sum);
	ck_assert_msg(!first()->foreign.lasts, "another address");
	foreign_cids(1);
	apply(FILE_WITH(B));
	watch_handshakes(control, sum);
	apply(FILE_WITH(A ", " B));
	watch_handshakes(control, sum);
	ck_assert_msg(!first()->foreign.lasts, "away for a reload");
	foreign_cids(1);
}
END_TEST

/* The same for what hello_rate turned away, which is counted by listener. */
START_TEST(listeners_that_come_and_go)
{
	const struct shortage *limited = &control->pools[control->spec.pools[0].uid].limited;

	apply(FILE_OF(L ", " M, A));
	sum->verdicts[control->listener_uids[1]][VERDICT_LIMITED] = 7;
	watch_handshakes(control, sum);
	ck_assert(limited->lasts && limited->refused - limited->before == 7);
	for (int i = 0; i < SHORTAGE_QUIET_LOOKS; i++)
		watch_handshakes(control, sum);
	for (int i = 0; i < 2; i++) {
		apply(i == 0 ? FILE_OF(L, A) : FILE_OF(M ", " L, A));
		watch_handshakes(control, sum);
		ck_assert(!limited->lasts);
	}
	sum->verdicts[control->listener_uids[0]][VERDICT_LIMITED]++;
	watch_handshakes(control, sum);
	ck_assert(limited->lasts && limited->refused - limited->before == 1);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_reload_repeats_nothing);
	tcase_add_test(tests, listeners_that_come_and_go);
}
