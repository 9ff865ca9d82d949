/* Sessions that go on at another address, as they are counted. */
#include "tests/fixtures/ownership_flow.h"
#include "tests/unit/suite.h"

/* A downlink on E0. */
static enum ownership_move answer(void)
{
	down(50);
	return ownership_settle_move(&session, NULL);
}

static enum ownership_move own_answer(char to)
{
	const struct ownership_pair pair = pair_of(to);

	ck_assert(own_down(to, 50));
	return ownership_settle_move(&session, &pair);
}

START_TEST(first_move_is_told_apart)
{
	prove('A');
	up('A', 60);
	ck_assert_int_eq(answer(), OWNERSHIP_STAYS);
	up('B', 60);
	ck_assert_int_eq(answer(), OWNERSHIP_MOVED_FIRST);
	ck_assert_int_eq(answer(), OWNERSHIP_STAYS);
	up('B', 60);
	ck_assert_int_eq(answer(), OWNERSHIP_STAYS);
	up('C', 60);
	ck_assert_int_eq(answer(), OWNERSHIP_MOVED);
	up('A', 60);
	ck_assert_int_eq(answer(), OWNERSHIP_MOVED);
}
END_TEST

/* It has moved without a word before its proven address spoke. */
START_TEST(first_datagram_comes_from_elsewhere)
{
	prove('A');
	ck_assert_int_eq(answer(), OWNERSHIP_STAYS);
	up('B', 60);
	ck_assert_int_eq(answer(), OWNERSHIP_MOVED_FIRST);
}
END_TEST

/* Nobody knows where it was before. */
START_TEST(session_that_is_new_here)
{
	up('A', 60);
	ck_assert_int_eq(answer(), OWNERSHIP_STAYS);
	up('B', 60);
	ck_assert_int_eq(answer(), OWNERSHIP_MOVED_FIRST);
}
END_TEST

START_TEST(unanswered_is_no_move)
{
	prove('A');
	for (char other = 'B'; other <= 'E'; other++)
		up(other, 60);
	ck_assert_int_eq(answer(), OWNERSHIP_MOVED_FIRST);
	ck_assert_int_eq(answer(), OWNERSHIP_STAYS);
	/* What is withheld from it is no answer. */
	up('B', 60);
	ck_assert_str_eq(down(65000), "A");
	ck_assert_int_eq(ownership_settle_move(&session, NULL), OWNERSHIP_STAYS);
	ck_assert_int_eq(answer(), OWNERSHIP_MOVED);
}
END_TEST

/* Who takes the place of whoever spoke last has the same number. */
START_TEST(place_changes_hands)
{
	const struct ownership_pair new = pair_of('F');

	prove('A');
	for (char other = 'B'; other <= 'E'; other++)
		up(other, 60);
	for (unsigned i = 1; i < OWNERSHIP_PLACES; i++)
		session.places[i].known = true;
	up('B', 60);
	ck_assert_int_eq(answer(), OWNERSHIP_MOVED_FIRST);
	pass_surely(OWNERSHIP_HOLD_MS);
	ck_assert_int_eq(up('F', 60), OWNERSHIP_HOME);
	ck_assert(ownership_pair_equal(&session.places[0].pair, &new));
	ck_assert_int_eq(answer(), OWNERSHIP_MOVED);
}
END_TEST

/* The server answers at an own endpoint of the source, and moves it to a place. */
START_TEST(own_endpoint)
{
	prove('A');
	for (char other = 'B'; other <= 'E'; other++)
		up(other, 60);
	answer();
	ck_assert_int_eq(up('F', 60), OWNERSHIP_OWN);
	ck_assert_int_eq(answer(), OWNERSHIP_STAYS);
	ck_assert_int_eq(own_answer('F'), OWNERSHIP_MOVED);
	ck_assert_int_eq(up('F', 60), OWNERSHIP_HOME);
	ck_assert_int_eq(answer(), OWNERSHIP_STAYS);
	/* Somebody else's own endpoint is none of it. */
	ck_assert_int_eq(up('G', 60), OWNERSHIP_OWN);
	up('A', 60);
	ck_assert_int_eq(own_answer('G'), OWNERSHIP_STAYS);
	ck_assert_int_eq(answer(), OWNERSHIP_MOVED);
}
END_TEST

START_TEST(contest_home)
{
	prove('A');
	for (char other = 'B'; other < 'L'; other++) {
		up_home(other, 60);
		ck_assert_int_eq(answer(), other == 'B' ? OWNERSHIP_MOVED_FIRST : OWNERSHIP_MOVED);
		up_home(other, 60);
		ck_assert_int_eq(answer(), OWNERSHIP_STAYS);
	}
	up_home('A', 60);
	ck_assert_int_eq(answer(), OWNERSHIP_MOVED);
}
END_TEST

/* Another handshake has made another session of it. */
START_TEST(handshake_begins_anew)
{
	prove('A');
	up('B', 60);
	prove('B');
	ck_assert_int_eq(answer(), OWNERSHIP_STAYS);
	up('C', 60);
	ck_assert_int_eq(answer(), OWNERSHIP_MOVED_FIRST);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_add_test(tests, first_move_is_told_apart);
	tcase_add_test(tests, first_datagram_comes_from_elsewhere);
	tcase_add_test(tests, session_that_is_new_here);
	tcase_add_test(tests, unanswered_is_no_move);
	tcase_add_test(tests, place_changes_hands);
	tcase_add_test(tests, own_endpoint);
	tcase_add_test(tests, contest_home);
	tcase_add_test(tests, handshake_begins_anew);
}
