/* The simulation: schedules of servers that come and go, and the sessions that they cost. */
#include <stdlib.h>
#include <string.h>

#include "bench/programs/churn/cidlb.h"
#include "bench/programs/churn/maglev.h"
#include "bench/programs/churn/sim.h"
#include "bench/programs/churn/sim_priv.h"
#include "tests/unit/suite.h"

enum { SERVERS = 100, THOUSAND = 1000, SESSIONS = 20000 };

static struct member members[MEMBERS_MAX];
static uint16_t before[MAGLEV_SLOTS];
static struct sim_result result;

static const struct schedule *schedule_named(const char *name)
{
	for (size_t i = 0; i < schedule_count; i++) {
		if (strcmp(schedules[i].name, name) == 0)
			return &schedules[i];
	}
	ck_abort_msg("no schedule %s", name);
}

/* Every schedule begins with servers that are there, and ends with all, or those that it leaves. */
START_TEST(schedules_end_where_they_should)
{
	static struct schedule_event events[SCHEDULE_EVENTS_MAX];

	for (size_t i = 0; i < schedule_count; i++) {
		const size_t n = schedule_begin(&schedules[i], events, members, THOUSAND);
		size_t there = 0;
		ck_assert_uint_ge(n, 1);
		ck_assert_uint_le(n, SCHEDULE_EVENTS_MAX);
		for (size_t at = 0; at < n; at++)
			schedule_happen(&schedules[i], events, n, at, members);
		for (size_t m = 0; m < THOUSAND; m++) {
			there += members[m].state == MEMBER_UP;
			ck_assert_uint_eq(members[m].weight, 100);
		}
		ck_assert_uint_eq(there, schedules[i].kind == SCHEDULE_SHRINK ? THOUSAND - THOUSAND / 10 : THOUSAND);
	}
	ck_assert_uint_eq(schedule_begin(schedule_named("upgrade"), events, members, THOUSAND), 40);
	ck_assert_uint_eq(schedule_begin(schedule_named("upgrade-one"), events, members, THOUSAND), 2000);
	ck_assert_uint_eq(schedule_begin(schedule_named("grow-one"), events, members, THOUSAND), 101);
}
END_TEST

static void run(struct sim *sim, const char *name, enum sim_addresses addresses)
{
	ck_assert_int_eq(sim_run(sim, &result, schedule_named(name), addresses), 0);
}

static struct sim_count sum_of(enum sim_contender contender)
{
	struct sim_count sum = { 0 };

	for (size_t i = 0; i < result.events; i++) {
		sum.needless += result.of[i][contender].needless;
		sum.unavoidable += result.of[i][contender].unavoidable;
	}
	return sum;
}

START_TEST(sessions_with_cids_break_with_their_server_alone)
{
	const struct sim_settings settings = { .members = SERVERS, .sessions = SESSIONS };
	struct sim *sim;

	ck_assert_int_eq(sim_new(&sim, &settings), 0);
	for (size_t i = 0; i < 2 * schedule_count; i++) {
		const struct schedule *schedule = &schedules[i / 2];
		if (i % 2 && schedule->fixed_only)
			continue;
		run(sim, schedule->name, i % 2 ? SIM_ADDRESSES_MOVE : SIM_ADDRESSES_STAY);
		ck_assert_uint_eq(sum_of(SIM_BY_CID).needless, 0);
		ck_assert_uint_eq(result.ever[SIM_BY_CID], 0);
		ck_assert_uint_ge(result.routed, SESSIONS);
		if (schedule->saved)
			ck_assert_uint_eq(sum_of(SIM_BY_CID).unavoidable, 0);
	}
	sim_free(sim);
}
END_TEST

/* Without any event nothing breaks as long as addresses stay; when they change, all but one of n by address. */
START_TEST(moves_break_who_goes_by_address)
{
	const struct sim_settings settings = { .members = SERVERS, .sessions = SESSIONS };
	struct sim *sim;

	ck_assert_int_eq(sim_new(&sim, &settings), 0);
	run(sim, "quiet", SIM_ADDRESSES_STAY);
	for (enum sim_contender i = 0; i < SIM_CONTENDERS; i++)
		ck_assert_uint_eq(sum_of(i).needless + sum_of(i).unavoidable, 0);
	run(sim, "quiet", SIM_ADDRESSES_MOVE);
	for (enum sim_contender i = SIM_BY_ADDRESS; i < SIM_CONTENDERS; i++) {
		ck_assert_uint_gt(sum_of(i).needless, SESSIONS * 98 / 100);
		ck_assert_uint_lt(sum_of(i).needless, SESSIONS);
		ck_assert_uint_eq(result.ever[i], sum_of(i).needless);
	}
	sim_free(sim);
}
END_TEST

/* A server fails and returns: its sessions are lost, and once more by who hashes alone: they have gone to others
 * meanwhile. */
START_TEST(failures_are_counted)
{
	const struct sim_settings settings = { .members = SERVERS, .sessions = SESSIONS };
	struct sim *sim;

	ck_assert_int_eq(sim_new(&sim, &settings), 0);
	run(sim, "fail-one", SIM_ADDRESSES_STAY);
	for (enum sim_contender i = 0; i < SIM_CONTENDERS; i++) {
		ck_assert_uint_gt(result.of[0][i].unavoidable, SESSIONS / SERVERS / 2);
		ck_assert_uint_lt(result.of[0][i].unavoidable, SESSIONS / SERVERS * 2);
		ck_assert_uint_eq(result.of[1][i].unavoidable, 0);
	}
	ck_assert_uint_eq(result.of[0][SIM_BY_ADDRESS].needless, 0);
	ck_assert_uint_eq(result.of[1][SIM_BY_ADDRESS].needless, result.of[0][SIM_BY_ADDRESS].unavoidable);
	ck_assert_uint_eq(result.of[0][SIM_KETAMA].needless, 0);
	ck_assert_uint_eq(result.of[1][SIM_KETAMA].needless, result.of[0][SIM_KETAMA].unavoidable);
	ck_assert_uint_gt(result.of[0][SIM_MAGLEV].needless, 0);
	ck_assert_uint_gt(result.of[0][SIM_MODULO].needless, SESSIONS * 9 / 10);
	ck_assert_uint_eq(sum_of(SIM_CONNECTIONS).needless, 0);
	/* A connection table is worth what it has been told: another node knows none. */
	run(sim, "grow", SIM_ADDRESSES_STAY);
	ck_assert_uint_eq(result.of[0][SIM_CONNECTIONS].needless, 0);
	ck_assert_uint_eq(result.of[1][SIM_CONNECTIONS].needless, result.of[0][SIM_MAGLEV].needless);
	sim_free(sim);
}
END_TEST

/* Counting by slot and counting by session are one: Maglev by slot, and by a connection table that knows nothing. */
START_TEST(slots_count_as_sessions_do)
{
	const struct sim_settings settings = { .members = SERVERS, .sessions = SESSIONS };
	uint16_t *homes;
	struct sim *sim;

	ck_assert_int_eq(sim_new(&sim, &settings), 0);
	run(sim, "fail-tenth", SIM_ADDRESSES_STAY);
	homes = calloc(SESSIONS, sizeof *homes);
	members_init(members, SERVERS);
	for (size_t at = 0; at <= result.events; at++) {
		struct sim_count count = { 0 };
		if (at)
			schedule_happen(schedule_named("fail-tenth"), result.event, result.events, at - 1, members);
		maglev_table.fill(&maglev_table, before, members, SERVERS);
		for (uint32_t i = 0; i < SESSIONS; i++) {
			const struct addr source = sim_source(i, 0);
			const uint16_t to = before[cidlb_hash(sim->cidlb, &source) % MAGLEV_SLOTS];
			const bool gone = members[homes[i]].state == MEMBER_DOWN;
			count.unavoidable += gone;
			count.needless += !gone && to != homes[i];
			homes[i] = to;
		}
		if (at) {
			ck_assert_uint_eq(count.needless, result.of[at - 1][SIM_MAGLEV].needless);
			ck_assert_uint_eq(count.unavoidable, result.of[at - 1][SIM_MAGLEV].unavoidable);
		}
	}
	free(homes);
	sim_free(sim);
}
END_TEST

void suite(TCase *tests)
{
	TCase *simulation = suite_case("simulation");

	tcase_add_test(tests, schedules_end_where_they_should);
	tcase_set_timeout(tests, 60);
	tcase_add_test(simulation, sessions_with_cids_break_with_their_server_alone);
	tcase_add_test(simulation, moves_break_who_goes_by_address);
	tcase_add_test(simulation, failures_are_counted);
	tcase_add_test(simulation, slots_count_as_sessions_do);
	tcase_set_timeout(simulation, 240);
}
