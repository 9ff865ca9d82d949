/* What the control thread does from time to time, whatever happens. */
#include <stdlib.h>

#include <urcu-qsbr.h>

#include "base/clock.h"
#include "control/apply.h"
#include "control/control.h"
#include "control/state.h"
#include "tests/fixtures/conf_fixture.h"
#include "tests/fixtures/handshakes_seen.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

static const char text[] = "user = \"nobody\"; hash_key = \"000102030405060708090a0b0c0d0e0f\"; workers = 1;\n"
			   "listeners = ( { name = \"p\"; address = \"127.0.0.1:5684\"; pool = \"p\"; } );\n"
			   "pools = ( { name = \"p\"; protocol = \"udp\"; health = { probe = \"none\"; };\n"
			   "backends = ( { name = \"a\"; address = \"127.0.0.1:6001\"; } ); } );\n";

static struct event_base *base;
static struct control *control;

static void setup(void)
{
	static const struct conf nobody = { .workers = 0 };
	struct conf_report report;

	conf_dir_enter();
	rcu_register_thread();
	rcu_thread_offline();
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

/* That of a handshake that began so long ago. The source is one of the first that are looked at. */
START_TEST(old_hints_go)
{
	const uint64_t source = UINT64_C(1) << 16;
	const uint32_t began_s = (uint32_t)clock_s() - HANDSHAKES_HINT_S - 1;
	const struct octets hello = octets_of(handshakes_seen[0].datagrams[0] + 1);
	const struct handshakes_datagram datagram = { source, hello.at, hello.len, began_s };

	ck_assert_int_eq(handshakes_take(control->handshakes, &datagram, 42), HELLO_BEGINS);
	ck_assert_uint_eq(handshakes_hint(control->handshakes, source, began_s), 42);
	while (handshakes_hint(control->handshakes, source, began_s) != HANDSHAKES_NO_HINT)
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
	free(hello.at);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, old_hints_go);
}
