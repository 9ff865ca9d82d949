/* What is kept of claims: those of before a restart, and those that are made no more. */
#include <errno.h>

#include "tests/fixtures/claims_cast.h"
#include "tests/unit/suite.h"

/* What comes first: ids as "3c 1b" of before a restart. */
static const struct {
	const char *what, *seeds;
	struct step steps[5];
} restarts[] = {
	{ "an heir, and a predecessor that is back",
	  "1b",
	  { { { "1~", "2~", "-", "-" }, "1b 2b", "" },
	    { { "1", "2~", "-", "-" }, "1a 2b", "m1ba" },
	    { { "1", "2:2,1", "-", "-" }, "1a? 2b", "c1ab" },
	    { { "1!", "2:2,1", "-", "-" }, "1b 2b", "m1ab s1b" } } },
	{ "an heir, and a predecessor that is back and leaves it the id",
	  "1b",
	  { { { "1~", "2~", "-", "-" }, "1b 2b", "" },
	    { { "1:4", "2~", "-", "-" }, "1b 2b 4a", "m4-a" },
	    { { "1:4", "2:2,1", "-", "-" }, "1b 2b 4a", "" } } },
	{ "an heir, and a predecessor that is dead",
	  "1b",
	  { { { "1~", "2:2,1", "-", "-" }, "1b 2b", "" }, { { "1!", "2:2,1", "-", "-" }, "1b 2b", "" } } },
	{ "an heir that died as well",
	  "1b",
	  { { { "1!", "2~", "-", "-" }, "1b 2b", "" }, { { "1", "2!", "-", "-" }, "1a 2b", "m1ba" } } },
	{ "ids of no configuration, out of order",
	  "9c 8a 7c",
	  { { { "1~", "2~", "3~", "-" }, "1a 2b 3c 7c 8a 9c", "" },
	    { { "1", "2", "3!", "-" }, "1a 2b 3c 7c 8a 9c", "" } } },
	{ "an owner that is gone", "1d 9d", { { { "1~", "2~", "-", "-" }, "1a 2b", "m1da" } } },
};

START_TEST(restart)
{
	for (const char *at = restarts[_i].seeds; *at; at += strcspn(at, " "), at += *at == ' ') {
		const struct server_id id = id_of((unsigned)(*at - '0'));
		const uint16_t uid = (uint16_t)(10 + at[1] - 'a');

		ck_assert_int_eq(claims_seed(&claims, &id, uid), 0);
		ck_assert_int_eq(claims_seed(&claims, &id, 11), -EEXIST);
		ck_assert_uint_eq(claims_owner(&claims, &id), uid);
	}
	for (const struct step *step = restarts[_i].steps; step->owners; step++) {
		(void)settle(step->say, false);
		ck_assert_msg(strcmp(owners(), step->owners) == 0, "%s: %s, expected %s", restarts[_i].what, owners(),
			      step->owners);
		ck_assert_msg(strcmp(events, step->events) == 0, "%s: %s, expected %s", restarts[_i].what, events,
			      step->events);
		ck_assert(!settle(step->say, true));
	}
}
END_TEST

/* What a file has in it is not to be believed. */
START_TEST(more_seeds_than_anybody_could_claim)
{
	const struct claims_backend backend = { .uid = 10, .unheard = true, .has_id = true, .id = id_of(200) };

	for (unsigned i = 0; i < 3 * STEERING_IDS; i++)
		ck_assert_int_eq(claims_seed(&claims, &(struct server_id){ 1, { (uint8_t)i } }, 10), 0);
	claims_settle(&claims, &backend, 1, ignore, NULL, NULL);
	ck_assert_uint_eq(claims.count, 1 + STEERING_IDS);
	ck_assert_uint_eq(claims_owner(&claims, &(struct server_id){ 1, { 0 } }), 10);
	ck_assert_uint_eq(claims_owner(&claims, &(struct server_id){ 1, { 200 } }), 10);
}
END_TEST

/* Claims `count` ids from `first` on. */
static void claim_range(struct claims_backend *backend, unsigned first, size_t count)
{
	for (size_t i = 0; i < count; i++)
		named[0][i] = id_of(first + (unsigned)i);
	backend->claims = named[0];
	backend->claim_count = count;
	claims_settle(&claims, backend, 1, ignore, NULL, NULL);
}

START_TEST(what_was_heard_of_last_is_kept)
{
	struct claims_backend backend = {
		.uid = 10, .serves = true, .has_id = true, .id = id_of(200), .may_claim_any = true
	};

	claim_range(&backend, 50, STEERING_IDS);
	ck_assert_uint_eq(claims.count, 1 + STEERING_IDS);
	claim_range(&backend, 10, 2);
	claim_range(&backend, 100, 0);
	ck_assert_uint_eq(claims.count, 1 + STEERING_IDS); /* two of the first are gone: those of the highest numbers */
	ck_assert_uint_eq(claims_owner(&claims, &named[0][0]), 10);
	ck_assert_uint_eq(claims_owner(&claims, &(struct server_id){ 1, { 50 + STEERING_IDS - 3 } }), 10);
	ck_assert_uint_eq(claims_owner(&claims, &(struct server_id){ 1, { 50 + STEERING_IDS - 2 } }), CLAIMS_NOBODY);
	claim_range(&backend, 100, STEERING_IDS - 1);
	ck_assert_uint_eq(claims.count, 1 + STEERING_IDS);
	ck_assert_uint_eq(claims_owner(&claims, &(struct server_id){ 1, { 10 } }), 10);
	ck_assert_uint_eq(claims_owner(&claims, &(struct server_id){ 1, { 11 } }), CLAIMS_NOBODY);
	ck_assert_uint_eq(claims_owner(&claims, &(struct server_id){ 1, { 200 } }), 10);
}
END_TEST

START_TEST(forgetting_is_a_change)
{
	struct claims_backend backend = {
		.uid = 10, .serves = true, .claims = named[0], .claim_count = STEERING_IDS, .may_claim_any = true
	};

	for (unsigned i = 0; i < STEERING_IDS; i++)
		named[0][i] = id_of(i);
	ck_assert(claims_settle(&claims, &backend, 1, ignore, NULL, NULL));
	ck_assert(!claims_settle(&claims, &backend, 1, ignore, NULL, NULL));
	named[0][3] = id_of(99);
	ck_assert(claims_settle(&claims, &backend, 1, ignore, NULL, NULL));
	ck_assert_uint_eq(claims.count, STEERING_IDS);
	ck_assert_uint_eq(claims_owner(&claims, &(struct server_id){ 1, { 3 } }), CLAIMS_NOBODY);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, restart, 0, sizeof restarts / sizeof *restarts);
	tcase_add_test(tests, more_seeds_than_anybody_could_claim);
	tcase_add_test(tests, what_was_heard_of_last_is_kept);
	tcase_add_test(tests, forgetting_is_a_change);
}
