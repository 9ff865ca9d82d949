/* The ways to servers change while nothing is due but slots. The table that comes with these takes the new ways in, so
 * it is another one to those who ask. Nothing is bound, and nothing is asked of the kernel. */
#include <fcntl.h>

#include <urcu-qsbr.h>

#include "control/apply.h"
#include "control/control.h"
#include "control/probe_results.h"
#include "control/settle.h"
#include "control/state.h"
#include "io/bare.h"
#include "tests/fixtures/conf_fixture.h"
#include "tests/unit/suite.h"

enum { POOL_NAT, POOL_DSR }; /* in text[] */

static const char text[] =
	"user = \"nobody\"; hash_key = \"000102030405060708090a0b0c0d0e0f\"; workers = 1;\n"
	"listeners = ( { name = \"p\"; address = \"127.0.0.1:5684\"; pool = \"p\"; },\n"
	"  { name = \"q\"; address = \"10.0.0.10:5684\"; pool = \"q\"; } );\n"
	"pools = ( { name = \"p\"; protocol = \"udp\"; health = { probe = \"none\"; };\n"
	"    backends = ( { name = \"a\"; address = \"127.0.0.1:6001\"; } ); },\n"
	"  { name = \"q\"; protocol = \"udp\"; health = { probe = \"none\"; }; forward = \"dsr\";\n"
	"    dsr = { encap = \"ipip\"; }; backends = ( { name = \"a\"; address = \"10.0.0.3:5684\"; } ); } );\n";

static struct event_base *base;
static struct control *control;
static uint32_t leads_to; /* an interface */
static uint16_t link_mtu;

/* The linker calls these in place of those of that name (--wrap). */
__typeof__(netlink_route) __wrap_netlink_route;
struct netlink_route __wrap_netlink_route(struct netlink *netlink, const uint8_t to[static 16], const uint8_t *from)
{
	(void)netlink;
	(void)to;
	(void)from;
	return (struct netlink_route){ .iface = leads_to };
}

__typeof__(netlink_hop) __wrap_netlink_hop;
struct netlink_hop __wrap_netlink_hop(struct netlink *netlink, const uint8_t to[static 16])
{
	(void)netlink;
	(void)to;
	return (struct netlink_hop){ .iface = 1, .mtu = link_mtu };
}

/* Takes root. */
__typeof__(bare_open) __wrap_bare_open;
int __wrap_bare_open(enum bare which)
{
	(void)which;
	return open("/dev/null", O_WRONLY | O_CLOEXEC);
}

static void setup(void)
{
	static const struct conf nobody = { .workers = 0 };
	struct conf_report report;
	struct conf *conf;

	conf_dir_enter();
	rcu_register_thread();
	rcu_thread_offline();
	leads_to = 1;
	link_mtu = 1500;
	base = event_base_new();
	ck_assert_ptr_nonnull(base);
	ck_assert_int_eq(control_new(&control, base, &nobody), 0);
	conf = load_text(&report, text);
	ck_assert_str_eq(join_lines(report.errors, report.error_count), "");
	conf_report_free(&report);
	ck_assert_int_eq(apply_conf(control, conf), 0);
	ck_assert_int_eq(settle(control), 0);
	/* A tick would look, too. */
	for (size_t i = 0; i < control->event_count; i++)
		event_del(control->events[i]);
	health_free(control->health);
	control->health = health_new(base, probe_results_take, control);
}

static void teardown(void)
{
	control_free(control);
	event_base_free(base);
	rcu_unregister_thread();
	conf_dir_leave();
}

static const struct table *published(void)
{
	return publisher_read(&control->publisher);
}

static void wait_for_slots(void)
{
	ck_assert(snapshot_lacks_slots(published()->snapshot));
	while (!(control->settle.due & SETTLE_SLOTS))
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
	ck_assert_uint_eq(control->settle.due, SETTLE_SLOTS);
	ck_assert(snapshot_lacks_slots(published()->snapshot));
}

START_TEST(no_change)
{
	const uint64_t before = published()->snapshot->generation;

	wait_for_slots();
	reach_forget(control); /* the kernel tells of a change that leaves these ways as they are */
	ck_assert_int_eq(settle(control), 0);
	ck_assert(!snapshot_lacks_slots(published()->snapshot));
	ck_assert_uint_eq(published()->snapshot->generation, before);
}
END_TEST

START_TEST(another_interface)
{
	const uint64_t before = published()->snapshot->generation;

	wait_for_slots();
	leads_to = 2;
	reach_forget(control);
	ck_assert_int_eq(settle(control), 0);
	ck_assert(!snapshot_lacks_slots(published()->snapshot));
	ck_assert_uint_eq(published()->snapshot->pools[POOL_NAT].backends[0].iface, 2);
	ck_assert_uint_eq(published()->snapshot->generation, before + 1);
	ck_assert_int_eq(settle(control), 0);
	ck_assert_uint_eq(published()->snapshot->generation, before + 1);
}
END_TEST

START_TEST(another_next_hop)
{
	const uint64_t before = published()->snapshot->generation;

	wait_for_slots();
	link_mtu = 1280;
	ck_assert_int_eq(settle(control), 0);
	ck_assert(!snapshot_lacks_slots(published()->snapshot));
	ck_assert_uint_eq(published()->pools[POOL_DSR].hops[0].mtu, 1280);
	ck_assert_uint_eq(published()->snapshot->generation, before + 1);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60); /* with a thread sanitizer */
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, no_change);
	tcase_add_test(tests, another_interface);
	tcase_add_test(tests, another_next_hop);
}
