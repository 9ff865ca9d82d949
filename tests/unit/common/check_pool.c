#include <stdlib.h>
#include <string.h>

#include "common/pool.h"
#include "common/verdict.h"
#include "tests/unit/suite.h"

static const char *health_after(struct backend_state *state, const char *probes)
{
	for (; *probes; probes++) {
		enum backend_health before = state->probes;
		bool changed = backend_state_probe(state, *probes == '+');
		ck_assert_int_eq(changed, state->probes != before);
	}
	return backend_health_name(state->probes);
}

/* Probes in order, + for a success, - for a failure; rise 2, fall 3. */
static const struct {
	const char *what, *probes, *health;
} walks[] = {
	{ "up before any probe", "", "up" },
	{ "first probe fails", "-", "down" },
	{ "first probe succeeds", "+", "up" },
	{ "one failure less than fall", "+--", "up" },
	{ "fall", "+---", "down" },
	{ "a success begins the row anew", "+--+--", "up" },
	{ "one success less than rise", "-+", "down" },
	{ "rise", "-++", "up" },
	{ "a failure begins the row anew", "-+-+", "down" },
	{ "the first failure counts as fall only once", "-++--", "up" },
	{ "and fall counts as ever after that", "-++---", "down" },
	{ "failures while down do not pile up", "------++", "up" },
};

START_TEST(walk)
{
	struct backend_state state;

	backend_state_init(&state, BACKEND_READY, 2, 3);
	ck_assert(!state.probed);
	ck_assert_msg(strcmp(health_after(&state, walks[_i].probes), walks[_i].health) == 0, "%s", walks[_i].what);
	ck_assert_int_eq(state.probed, *walks[_i].probes != '\0');
}
END_TEST

START_TEST(rise_and_fall_of_one)
{
	struct backend_state state;

	backend_state_init(&state, BACKEND_DRAIN, 1, 1);
	ck_assert_int_eq(state.wish, BACKEND_DRAIN);
	ck_assert_str_eq(health_after(&state, "+-"), "down");
	ck_assert_str_eq(health_after(&state, "+"), "up");
}
END_TEST

START_TEST(rise_and_fall_of_255)
{
	struct backend_state state;

	backend_state_init(&state, BACKEND_READY, 255, 255);
	backend_state_probe(&state, true);
	for (int i = 0; i < 254; i++)
		ck_assert(!backend_state_probe(&state, false));
	ck_assert(backend_state_probe(&state, false));
	for (int i = 0; i < 254; i++)
		ck_assert(!backend_state_probe(&state, true));
	ck_assert(backend_state_probe(&state, true));
}
END_TEST

/* What is in force of wish and answer: the stricter. */
START_TEST(admin_in_force)
{
	struct backend_state state;

	for (int wish = BACKEND_READY; wish <= BACKEND_MAINT; wish++) {
		for (int said = BACKEND_READY; said <= BACKEND_MAINT; said++) {
			backend_state_init(&state, (enum backend_admin)wish, 2, 3);
			state.steering.admin = (enum backend_admin)said;
			ck_assert_int_eq(backend_state_admin(&state), wish > said ? wish : said);
			ck_assert_int_eq(state.wish, wish);
		}
	}
}
END_TEST

START_TEST(health_in_force)
{
	struct backend_state state;

	backend_state_init(&state, BACKEND_READY, 1, 1);
	ck_assert_int_eq(backend_state_health(&state), BACKEND_UP);
	state.steering.down = true;
	ck_assert_int_eq(backend_state_health(&state), BACKEND_DOWN);
	ck_assert_int_eq(state.probes, BACKEND_UP);
	state.steering.down = false;
	backend_state_probe(&state, false);
	ck_assert_int_eq(backend_state_health(&state), BACKEND_DOWN);
}
END_TEST

static const struct {
	uint16_t weight;
	uint8_t percent;
	uint16_t in_force;
} weights[] = { { 256, 100, 256 }, { 256, 75, 192 }, { 256, 1, 3 }, { 1, 1, 1 },
		{ 1, 99, 1 },      { 100, 50, 50 },  { 0, 100, 0 }, { 256, 0, 0 } };

START_TEST(weight_in_force)
{
	struct backend_state state;

	backend_state_init(&state, BACKEND_READY, 2, 3);
	state.steering.percent = weights[_i].percent;
	ck_assert_uint_eq(backend_state_weight(&state, weights[_i].weight), weights[_i].in_force);
}
END_TEST

START_TEST(renewed)
{
	struct backend_state state;

	backend_state_init(&state, BACKEND_DRAIN, 2, 3);
	ck_assert_str_eq(health_after(&state, "+--"), "up");
	state.steering = (struct steering){ .down = true, .admin = BACKEND_MAINT, .id_count = 1 };
	backend_state_renew(&state);
	ck_assert(!state.probed);
	ck_assert_int_eq(backend_state_health(&state), BACKEND_UP);
	ck_assert_int_eq(backend_state_admin(&state), BACKEND_DRAIN);
	ck_assert_uint_eq(backend_state_weight(&state, 100), 100);
	ck_assert_uint_eq(state.steering.id_count, 0);
	ck_assert_str_eq(health_after(&state, "-"), "down");
	ck_assert_str_eq(health_after(&state, "+"), "down");
	backend_state_renew(&state);
	ck_assert_str_eq(backend_health_name(state.probes), "down"); /* holds until the next probe */
	ck_assert_str_eq(health_after(&state, "+"), "up");
	ck_assert_str_eq(health_after(&state, "--"), "up");
}
END_TEST

START_TEST(accepts_new)
{
	for (int health = BACKEND_UP; health <= BACKEND_DOWN; health++) {
		for (int admin = BACKEND_READY; admin <= BACKEND_MAINT; admin++) {
			bool fit = health == BACKEND_UP && admin == BACKEND_READY;
			ck_assert(!backend_accepts_new((enum backend_health)health, (enum backend_admin)admin, 0));
			ck_assert_int_eq(backend_accepts_new((enum backend_health)health, (enum backend_admin)admin, 1),
					 fit);
		}
	}
}
END_TEST

START_TEST(names)
{
	static const char *const words[] = { "ready", "drain", "maint" };

	for (int i = BACKEND_READY; i <= BACKEND_MAINT; i++)
		ck_assert_str_eq(backend_admin_name((enum backend_admin)i), words[i]);
}
END_TEST

START_TEST(verdict_names)
{
	static const char *const words[] = { "cid",        "cid_draining", "cid_down",  "hash",       "hint",
					     "cid_hashed", "bad_source",   "malformed", "type",       "epoch0_data",
					     "mixed",      "unknown_cid",  "maint",     "no_backend", "limited" };

	ck_assert_int_eq(VERDICTS, sizeof words / sizeof *words);
	for (int i = 0; i < VERDICTS; i++) {
		ck_assert_str_eq(verdict_name((enum verdict)i), words[i]);
		ck_assert_int_eq(verdict_is_routed((enum verdict)i), i < 6);
	}
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, walk, 0, sizeof walks / sizeof *walks);
	tcase_add_test(tests, rise_and_fall_of_one);
	tcase_add_test(tests, rise_and_fall_of_255);
	tcase_add_test(tests, admin_in_force);
	tcase_add_test(tests, health_in_force);
	tcase_add_loop_test(tests, weight_in_force, 0, sizeof weights / sizeof *weights);
	tcase_add_test(tests, renewed);
	tcase_add_test(tests, accepts_new);
	tcase_add_test(tests, names);
	tcase_add_test(tests, verdict_names);
}
