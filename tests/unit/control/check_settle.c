/* Changes on the control thread are published once per turn of its event loop. There are no workers, and nothing is
 * bound.
 */
#include <errno.h>
#include <stdio.h>

#include <urcu-qsbr.h>

#include "base/clock.h"
#include "control/apply.h"
#include "control/control.h"
#include "control/names.h"
#include "control/probe_results.h"
#include "control/settle.h"
#include "control/state.h"
#include "control/table_build.h"
#include "control/wishes.h"
#include "tests/fixtures/conf_fixture.h"
#include "tests/unit/suite.h"

enum { BACKENDS = 200 };

/* The linker calls this in place of table_build() (--wrap), so that memory can run out. */
__typeof__(table_build) __real_table_build, __wrap_table_build;
static bool no_memory;

struct table *__wrap_table_build(const struct conf *conf, const struct table_spec *spec, const uint16_t *listener_uids,
				 const struct table *previous)
{
	return no_memory ? NULL : __real_table_build(conf, spec, listener_uids, previous);
}

static struct event_base *base;
static struct control *control;
static const struct health_result fails = { .ok = false, .reason = "connection refused" };
static const struct health_result works = { .ok = true, .reason = "answered" };

static struct conf *load(void)
{
	static char text[1 << 16];
	struct conf_report report;
	struct conf *conf;
	size_t len =
		(size_t)snprintf(text, sizeof text,
				 "user = \"nobody\"; hash_key = \"000102030405060708090a0b0c0d0e0f\"; workers = 1;\n"
				 "listeners = ( { name = \"p\"; address = \"127.0.0.1:5684\"; pool = \"p\"; } );\n"
				 "pools = ( { name = \"p\"; protocol = \"udp\";\n"
				 "  health = { probe = \"dtls\"; rise = 1; fall = 1; }; backends = (");

	for (int i = 0; i < BACKENDS; i++)
		len += (size_t)snprintf(text + len, sizeof text - len,
					"%s { name = \"b%d\"; address = \"127.0.0.1:%d\"; }", i ? "," : "", i,
					7000 + i);
	snprintf(text + len, sizeof text - len, " ); } );\n");
	conf = load_text(&report, text);
	ck_assert_str_eq(join_lines(report.errors, report.error_count), "");
	conf_report_free(&report);
	return conf;
}

static void setup(void)
{
	static const struct conf nobody = { .workers = 0 };

	conf_dir_enter();
	rcu_register_thread();
	rcu_thread_offline();
	no_memory = false;
	base = event_base_new();
	ck_assert_ptr_nonnull(base);
	ck_assert_int_eq(control_new(&control, base, &nobody), 0);
	ck_assert_int_eq(apply_conf(control, load()), 0);
	/* As if the last table were long ago, so that a test counts only its own. */
	control->settle.settled_ms = control->settle.took_us = 0;
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

static const struct snapshot *published(void)
{
	return publisher_read(&control->publisher)->snapshot;
}

static size_t count_down(void)
{
	size_t down = 0;

	for (size_t i = 0; i < BACKENDS; i++)
		down += published()->pools[0].backends[i].health == BACKEND_DOWN;
	return down;
}

/* Does what there is to do now, and what follows from that. */
static void turn(void)
{
	ck_assert_int_ge(event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE), 0);
	ck_assert_int_ge(event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE), 0);
}

struct ending {
	const struct health_result *result;
	uint16_t uid;
	struct event *event;
};

/* A callback of its own, like that of a probe's socket. */
static void on_ending(evutil_socket_t fd, short what, void *ctx)
{
	const struct ending *ending = ctx;

	(void)fd;
	(void)what;
	probe_results_take(control, ending->uid, ending->result);
}

static void ending_begin(struct ending *ending, size_t at, const struct health_result *result)
{
	*ending = (struct ending){ .result = result, .uid = control->spec.backends[at].uid };
	ending->event = event_new(base, -1, 0, on_ending, ending);
	ck_assert_ptr_nonnull(ending->event);
	event_active(ending->event, 0, 0);
}

START_TEST(results_of_one_turn_make_one_table)
{
	struct ending endings[BACKENDS];
	const uint64_t before = published()->generation;

	for (size_t i = 0; i < BACKENDS; i++)
		ending_begin(&endings[i], i, &fails);
	turn();
	ck_assert_uint_eq(published()->generation, before + 1);
	ck_assert_uint_eq(count_down(), BACKENDS);
	turn();
	ck_assert_uint_eq(published()->generation, before + 1);
	for (size_t i = 0; i < BACKENDS; i++)
		event_free(endings[i].event);
}
END_TEST

/* Servers go down in turn after turn. However long that takes, tables are SETTLE_APART_MS apart. */
START_TEST(tables_are_apart)
{
	const uint64_t before = published()->generation, began_ms = clock_ms();

	for (size_t i = 0; i < BACKENDS; i++) {
		probe_results_take(control, control->spec.backends[i].uid, &fails);
		turn();
		ck_assert_uint_le(published()->generation, before + 1 + (clock_ms() - began_ms) / SETTLE_APART_MS);
	}
	ck_assert_uint_ge(published()->generation, before + 1);
	while (count_down() < BACKENDS)
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
}
END_TEST

/* How long the next settling waits. */
static uint64_t wait_ms(void)
{
	struct timeval due, now;

	event_base_gettimeofday_cached(base, &now);
	ck_assert(evtimer_pending(control->settle.timer, &due));
	return (uint64_t)((due.tv_sec - now.tv_sec) * 1000 + (due.tv_usec - now.tv_usec) / 1000);
}

/* What takes long is done rarely, also if it makes no table. */
START_TEST(what_takes_long_is_followed_by_a_rest)
{
	const uint64_t before = published()->generation, began_ms = clock_ms();

	settle_mark(control, SETTLE_IDS);
	turn();
	ck_assert_uint_eq(published()->generation, before);
	ck_assert_uint_ge(control->settle.settled_ms, began_ms);
	control->settle.settled_ms = clock_ms();
	control->settle.took_us = 400000;
	settle_mark(control, SETTLE_IDS);
	ck_assert_uint_ge(wait_ms(), SETTLE_REST * 400 - 1000);
	ck_assert_uint_le(wait_ms(), SETTLE_REST * 400 + 1000);
	settle_tick(control); /* does not cut it short */
	ck_assert(control->settle.due & SETTLE_IDS);
	ck_assert_uint_ge(wait_ms(), SETTLE_REST * 400 - 1000);
	evtimer_del(control->settle.timer);
	control->settle.took_us = 400;
	settle_mark(control, SETTLE_IDS);
	ck_assert_uint_le(wait_ms(), SETTLE_APART_MS + 1000);
	evtimer_del(control->settle.timer); /* as if there was no memory for it */
	settle_tick(control);
	ck_assert(!(control->settle.due & SETTLE_IDS));
}
END_TEST

/* Until the new address is probed, an answer from the old one says nothing: then the first probe decides. */
START_TEST(results_of_the_address_before)
{
	const struct resolve_name name = { "a.example", false };
	const uint16_t uid = control->spec.backends[0].uid;
	struct resolve_answer answer = { .good = true };
	struct addr moved;

	ck_assert_int_eq(addr_parse_ip(&moved, "127.0.0.9"), 0);
	memcpy(answer.ip, moved.ip, sizeof answer.ip);
	probe_results_take(control, uid, &works);
	turn();
	control->conf->pools[0].backends[0].host = (char *)(uintptr_t)name.host;
	names_on_answer(control, &name, &answer);
	control->conf->pools[0].backends[0].host = NULL;
	probe_results_take(control, uid, &works);
	ck_assert(!control->states[uid].probed);
	ck_assert_int_eq(settle(control), 0);
	ck_assert_mem_eq(published()->pools[0].backends[0].addr.ip, moved.ip, sizeof moved.ip);
	probe_results_take(control, uid, &fails);
	ck_assert(control->states[uid].probed);
	ck_assert_int_eq(settle(control), 0);
	ck_assert_uint_eq(count_down(), 1);
}
END_TEST

START_TEST(what_changes_nothing_makes_no_table)
{
	const uint64_t before = published()->generation;

	probe_results_take(control, control->spec.backends[0].uid, &works);
	turn();
	ck_assert_uint_eq(published()->generation, before);
}
END_TEST

START_TEST(a_command_is_in_force_at_once)
{
	const uint64_t before = published()->generation;

	probe_results_take(control, control->spec.backends[3].uid, &fails);
	ck_assert_uint_eq(published()->generation, before);
	ck_assert_int_eq(wishes_set_admin(control, control->spec.backends[1].uid, BACKEND_DRAIN), 0);
	ck_assert_int_eq(wishes_set_weight(control, control->spec.backends[2].uid, 7), 0);
	ck_assert_int_eq(published()->pools[0].backends[1].admin, BACKEND_DRAIN);
	ck_assert_uint_eq(published()->pools[0].backends[2].weight, 7);
	ck_assert_int_eq(published()->pools[0].backends[3].health, BACKEND_DOWN);
	ck_assert_uint_eq(published()->generation, before + 2);
	turn();
	ck_assert_uint_eq(published()->generation, before + 2);
	ck_assert_int_eq(wishes_set_weight(control, UINT16_MAX - 1, 7), -ENOENT);
}
END_TEST

/* The published table stays. The next attempt has all that was marked. */
START_TEST(out_of_memory)
{
	const uint16_t uid = control->spec.backends[1].uid;
	const uint64_t before = published()->generation;

	no_memory = true;
	ck_assert_int_eq(wishes_set_admin(control, uid, BACKEND_MAINT), -ENOMEM);
	ck_assert_int_eq(wishes_set_weight(control, uid, 7), -ENOMEM);
	probe_results_take(control, control->spec.backends[0].uid, &fails);
	turn();
	turn();
	ck_assert_uint_eq(published()->generation, before);
	ck_assert_int_eq(settle(control), -ENOMEM);
	no_memory = false;
	ck_assert_int_eq(settle(control), 0);
	ck_assert_uint_eq(published()->generation, before + 1);
	ck_assert_uint_eq(count_down(), 1);
	ck_assert_int_eq(published()->pools[0].backends[1].admin, BACKEND_READY);
	ck_assert_uint_eq(published()->pools[0].backends[1].weight, 100);
	ck_assert_int_eq(settle(control), 0);
	ck_assert_uint_eq(published()->generation, before + 1);
}
END_TEST

/* Its table has what was marked before. */
START_TEST(a_reload_settles)
{
	const uint64_t before = published()->generation;

	probe_results_take(control, control->spec.backends[5].uid, &fails);
	ck_assert_int_eq(apply_conf(control, load()), 0);
	ck_assert_uint_eq(count_down(), 1);
	ck_assert_uint_eq(published()->generation, before + 1);
	ck_assert_uint_eq(control->settle.due, 0);
}
END_TEST

/* Turns of the loop until the slots are there. */
static unsigned turns_to_slots(void)
{
	unsigned turns = 0;

	for (; snapshot_lacks_slots(published()); turns++)
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
	return turns;
}

static void assert_slots_are_right(void)
{
	const struct siphash_key slots_key = siphash_key_derive(&published()->pools[0].hash_key, "slots");
	struct rendezvous_member members[BACKENDS];
	struct rendezvous *fresh = calloc(1, sizeof *fresh);

	ck_assert_ptr_nonnull(fresh);
	for (size_t i = 0; i < BACKENDS; i++) {
		members[i].name = published()->pools[0].backends[i].name;
		members[i].weight = published()->pools[0].backends[i].weight;
	}
	rendezvous_build(fresh, &slots_key, members, BACKENDS);
	ck_assert_mem_eq(published()->pools[0].slots, fresh, sizeof *fresh);
	free(fresh);
}

/* They take many turns, in which other things are done, and are no change. */
START_TEST(slots_come_later)
{
	const struct snapshot *first = published();
	const uint64_t before = first->generation;

	ck_assert(snapshot_lacks_slots(first));
	ck_assert_uint_gt(turns_to_slots(), 100);
	ck_assert_ptr_ne(published(), first);
	ck_assert_uint_eq(published()->generation, before);
	ck_assert_uint_eq(control->settle.due, 0);
	assert_slots_are_right();
}
END_TEST

START_TEST(slots_come_after_a_change_of_weight)
{
	turn();
	ck_assert_int_eq(wishes_set_weight(control, control->spec.backends[2].uid, 7), 0);
	ck_assert(snapshot_lacks_slots(published()));
	ck_assert_uint_gt(turns_to_slots(), 100);
	assert_slots_are_right();
}
END_TEST

START_TEST(slots_come_after_a_reload)
{
	turn();
	ck_assert_int_eq(apply_conf(control, load()), 0);
	ck_assert(snapshot_lacks_slots(published()));
	ck_assert_uint_gt(turns_to_slots(), 100);
	assert_slots_are_right();
}
END_TEST

/* The table goes on without them until there is memory for one that has them. */
START_TEST(slots_wait_for_memory)
{
	no_memory = true;
	while (!(control->settle.failed & SETTLE_TABLE))
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
	ck_assert(snapshot_lacks_slots(published()));
	no_memory = false;
	settle_tick(control);
	ck_assert_uint_eq(turns_to_slots(), 0);
	assert_slots_are_right();
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60); /* with a thread sanitizer */
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, results_of_one_turn_make_one_table);
	tcase_add_test(tests, tables_are_apart);
	tcase_add_test(tests, what_takes_long_is_followed_by_a_rest);
	tcase_add_test(tests, results_of_the_address_before);
	tcase_add_test(tests, what_changes_nothing_makes_no_table);
	tcase_add_test(tests, a_command_is_in_force_at_once);
	tcase_add_test(tests, out_of_memory);
	tcase_add_test(tests, a_reload_settles);
	tcase_add_test(tests, slots_come_later);
	tcase_add_test(tests, slots_come_after_a_change_of_weight);
	tcase_add_test(tests, slots_come_after_a_reload);
	tcase_add_test(tests, slots_wait_for_memory);
}
