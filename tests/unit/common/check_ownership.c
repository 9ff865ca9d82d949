/* Who gets the downlink: the promises and every row of the table in common/ownership.h. */
#include "tests/fixtures/ownership_flow.h"
#include "tests/unit/suite.h"

/* Promise b: whatever others send. */
START_TEST(proven_gets_every_downlink)
{
	prove('A');
	purse_left = 0;
	for (char other = 'B'; other <= 'Z'; other++) {
		up(other, 1);
		now_ms += 700;
		ck_assert_int_eq(down(65000)[0], 'A');
	}
	pass_surely(86400000);
	ck_assert_int_eq(up('B', 60), OWNERSHIP_HOME);
	ck_assert_int_eq(down(65000)[0], 'A');
}
END_TEST

START_TEST(proven_uplink_changes_nothing)
{
	struct ownership before;

	prove('A');
	up('B', 60);
	before = session;
	now_ms += 1000;
	ck_assert_int_eq(up('A', 60), OWNERSHIP_HOME);
	/* But for who spoke last, which is counted and decides nothing. */
	before.last_from = session.last_from;
	before.moves = session.moves;
	ck_assert_mem_eq(&session, &before, sizeof session);
}
END_TEST

/* The service address belongs to the pair: the same device at another one is somebody else. */
START_TEST(another_service_is_another_address)
{
	struct ownership_datagram datagram = datagram_of('A', 100);
	struct ownership_pair to[OWNERSHIP_WAYS_BACK];

	prove('A');
	datagram.from.service = 1;
	ck_assert(!ownership_is_proven(&session, &datagram.from));
	ck_assert_int_eq(ownership_uplink(&session, NULL, &datagram), OWNERSHIP_HOME);
	ck_assert_uint_eq(ownership_downlink(&session, &datagram, &purse, to, &withheld), 2);
	ck_assert_uint_eq(to[0].service, 0);
	ck_assert_uint_eq(to[1].service, 1);
	ck_assert_uint_eq(to[1].device.port, 'A');
}
END_TEST

START_TEST(proof_begins_anew)
{
	prove('A');
	up('B', 60);
	prove('C');
	ck_assert_str_eq(down(50), "C");
	ck_assert_int_eq(up('A', 60), OWNERSHIP_HOME);
	ck_assert_str_eq(down(50), "CA");
}
END_TEST

START_TEST(proof_keeps_the_memory_for_more_places)
{
	up_home('A', 60);
	for (char other = 'B'; other < 'L'; other++)
		up_home(other, 60);
	ck_assert(session.has_many && session.many == many);
	prove('M');
	ck_assert(session.has_many && session.many == many);
	ck_assert_str_eq(down(50), "M");
}
END_TEST

START_TEST(places_are_four)
{
	prove('A');
	for (char other = 'B'; other < 'B' + OWNERSHIP_PLACES; other++)
		ck_assert_int_eq(up(other, 60), OWNERSHIP_HOME);
	ck_assert_str_eq(down(50), "ABCDE");
	ck_assert_int_eq(up('F', 60), OWNERSHIP_OWN);
	ck_assert_str_eq(down(50), "ABCDE");
	ck_assert_uint_eq(withheld, 0);
}
END_TEST

/* Without a proven address, as after a restart. */
START_TEST(nobody_is_proven)
{
	ck_assert_int_eq(up('A', 60), OWNERSHIP_HOME);
	ck_assert_int_eq(up('B', 60), OWNERSHIP_HOME);
	ck_assert_str_eq(down(50), "AB");
	ck_assert_str_eq(down(65000), "");
	ck_assert_uint_eq(withheld, 2);
}
END_TEST

/* All places are in use, and all but one are answered. */
static void fill_but_one_answered(char unanswered)
{
	prove('A');
	for (char other = 'B'; other <= 'E'; other++)
		if (other != unanswered)
			up(other, 60);
	down(50);
	up(unanswered, 60);
}

START_TEST(unanswered_place_goes_first)
{
	const char unanswered = (char)('B' + _i);

	fill_but_one_answered(unanswered);
	pass_surely(OWNERSHIP_HOLD_MS);
	ck_assert_int_eq(up('F', 60), OWNERSHIP_HOME);
	for (char other = 'B'; other <= 'E'; other++)
		ck_assert_int_eq(!strchr(down(1), other), other == unanswered);
}
END_TEST

START_TEST(longest_silent_place_goes_next)
{
	prove('A');
	for (char other = 'B'; other <= 'E'; other++) {
		up(other, 60);
		now_ms += 1000;
	}
	down(50);
	up((char)('B' + _i), 60);
	pass_surely(OWNERSHIP_HOLD_MS);
	ck_assert_int_eq(up('F', 60), OWNERSHIP_HOME);
	ck_assert_ptr_eq(strchr(down(50), _i == 0 ? 'C' : 'B'), NULL);
	ck_assert_ptr_nonnull(strchr(down(50), 'F'));
}
END_TEST

/* `_i`: at which step of the clock the place was taken. */
START_TEST(place_is_held)
{
	prove('A');
	now_ms += (uint32_t)_i * 51;
	for (char other = 'B'; other <= 'E'; other++)
		up(other, 60);
	pass_not_quite(OWNERSHIP_HOLD_MS);
	ck_assert_int_eq(up('F', 60), OWNERSHIP_OWN);
	ck_assert_str_eq(down(50), "ABCDE");
	now_ms += 2 * TICK_MS;
	/* Its endpoint is open, but another may take a place. */
	ck_assert_int_eq(up('G', 60), OWNERSHIP_HOME);
	ck_assert_ptr_nonnull(strchr(down(50), 'G'));
}
END_TEST

START_TEST(uplinks_hold_a_place)
{
	prove('A');
	for (int i = 0; i < 20; i++) {
		for (char other = 'B'; other <= 'E'; other++)
			ck_assert_int_eq(up(other, 60), OWNERSHIP_HOME);
		pass_not_quite(OWNERSHIP_HOLD_MS);
		ck_assert_int_ne(up('F', 60), OWNERSHIP_HOME);
	}
	ck_assert_str_eq(down(50), "ABCDE");
}
END_TEST

/* Downlinks do not. */
START_TEST(downlinks_hold_no_place)
{
	prove('A');
	for (char other = 'B'; other <= 'E'; other++)
		up(other, 1000);
	for (int i = 0; i < 6; i++) {
		now_ms += 1000;
		down(50);
	}
	ck_assert_int_eq(up('F', 60), OWNERSHIP_HOME);
}
END_TEST

/* Another worker's clock is a moment behind. */
START_TEST(clock_that_is_behind)
{
	prove('A');
	for (char other = 'B'; other <= 'E'; other++)
		up(other, 60);
	now_ms -= 1000;
	ck_assert_int_eq(up('F', 60), OWNERSHIP_OWN);
	ck_assert_int_eq(up('B', 60), OWNERSHIP_HOME);
	now_ms += 1000;
	ck_assert_int_eq(up('G', 60), OWNERSHIP_OWN);
}
END_TEST

START_TEST(withheld_opens_an_own_endpoint)
{
	prove('A');
	up('B', 60);
	up('C', 1400);
	ck_assert_str_eq(down(3 * 60 + OWNERSHIP_ALLOWANCE + 1), "AC");
	ck_assert_uint_eq(withheld, 1);
	ck_assert_int_eq(up('B', 60), OWNERSHIP_OWN_WITHHELD);
	ck_assert_int_eq(up('C', 60), OWNERSHIP_HOME);
	/* It keeps its place, and gets what comes on E0. */
	ck_assert_str_eq(down(50), "ABC");
	ck_assert_int_eq(up('B', 60), OWNERSHIP_OWN_WITHHELD);
}
END_TEST

/* A later downlink that was sent makes up for it. */
START_TEST(withheld_is_the_last_downlink)
{
	prove('A');
	up('B', 60);
	down(60000);
	down(50);
	ck_assert_int_eq(up('B', 60), OWNERSHIP_HOME);
}
END_TEST

START_TEST(own_endpoint_closes_in_time)
{
	prove('A');
	up('B', 60);
	down(60000);
	ck_assert_int_eq(up('B', 60), OWNERSHIP_OWN_WITHHELD);
	now_ms += OWNERSHIP_OPEN_MS / 2;
	/* The backend does not answer there. Use alone does not renew it. */
	ck_assert_int_eq(up('B', 60), OWNERSHIP_OWN_WITHHELD);
	now_ms += OWNERSHIP_OPEN_MS / 2 - 2 * TICK_MS;
	ck_assert_int_eq(up('B', 60), OWNERSHIP_OWN_WITHHELD);
	now_ms += 3 * TICK_MS;
	ck_assert_int_eq(up('B', 60), OWNERSHIP_HOME);
}
END_TEST

START_TEST(own_endpoint_is_renewed_once_answered)
{
	prove('A');
	up('B', 60);
	down(60000);
	ck_assert_int_eq(up('B', 60), OWNERSHIP_OWN_WITHHELD);
	ck_assert(own_down('B', 100));
	for (int i = 0; i < 10; i++) {
		now_ms += OWNERSHIP_OPEN_MS - 2 * TICK_MS;
		ck_assert_int_eq(up('B', 60), OWNERSHIP_OWN_WITHHELD);
	}
	/* A downlink does not. */
	now_ms += OWNERSHIP_OPEN_MS / 2;
	ck_assert(own_down('B', 100));
	now_ms += OWNERSHIP_OPEN_MS / 2 + TICK_MS;
	ck_assert_int_eq(up('B', 60), OWNERSHIP_HOME);
}
END_TEST

/* It is found again by those who ask for it: until the last one is closed. */
START_TEST(own_endpoints_of_several)
{
	prove('A');
	up('B', 60);
	up('C', 60);
	down(60000);
	ck_assert_int_eq(up('B', 60), OWNERSHIP_OWN_WITHHELD);
	now_ms += OWNERSHIP_OPEN_MS / 2;
	ck_assert_int_eq(up('C', 60), OWNERSHIP_OWN_WITHHELD);
	now_ms += OWNERSHIP_OPEN_MS / 2 + 2 * TICK_MS;
	ck_assert_int_eq(up('B', 60), OWNERSHIP_HOME);
	ck_assert_int_eq(up('C', 60), OWNERSHIP_OWN_WITHHELD);
	now_ms += OWNERSHIP_OPEN_MS / 2;
	ck_assert_int_eq(up('C', 60), OWNERSHIP_HOME);
	ck_assert(!ownership_asks_own(&session, &(struct ownership_datagram){ pair_of('C'), 60, now_ms }));
}
END_TEST

/* However long the session slept. Times wrap meanwhile. */
START_TEST(own_endpoint_stays_closed)
{
	prove('A');
	up('B', 60);
	down(60000);
	ck_assert_int_eq(up('B', 60), OWNERSHIP_OWN_WITHHELD);
	now_ms += (uint32_t)_i * 600000 + 2 * OWNERSHIP_OPEN_MS;
	ck_assert_int_eq(up('B', 60), OWNERSHIP_HOME);
}
END_TEST

/* None to be had: the backend moves to it, or asks it. */
START_TEST(own_downlink_makes_known)
{
	prove('A');
	for (char other = 'B'; other <= 'E'; other++)
		up(other, 60);
	down(50);
	ck_assert_int_eq(up('F', 60), OWNERSHIP_OWN);
	ck_assert_int_eq(up('F', 60), OWNERSHIP_OWN);
	ck_assert(own_down('F', 200));
	ck_assert_uint_eq(strlen(down(50)), 5);
	ck_assert_ptr_nonnull(strchr(down(50), 'F'));
	/* The endpoint is closed. */
	ck_assert_int_eq(up('F', 60), OWNERSHIP_HOME);
}
END_TEST

/* Whoever is not known cannot take its place. */
START_TEST(known_place_is_held)
{
	prove('A');
	for (char other = 'B'; other <= 'E'; other++)
		up(other, 60);
	up('F', 60);
	own_down('F', 50);
	pass_not_quite(OWNERSHIP_KNOWN_MS);
	for (char other = 'G'; other <= 'K'; other++)
		ck_assert_int_eq(up(other, 60), other == 'K'   ? OWNERSHIP_OWN
						: other == 'J' ? OWNERSHIP_OWN
							       : OWNERSHIP_HOME);
	ck_assert_ptr_nonnull(strchr(down(50), 'F'));
	pass_surely(OWNERSHIP_HOLD_MS);
	for (char other = 'L'; other <= 'O'; other++)
		ck_assert_int_eq(up(other, 60), OWNERSHIP_HOME);
	ck_assert_ptr_null(strchr(down(50), 'F'));
}
END_TEST

/* They take the places of the others, and then that of the known one that was silent longest. */
START_TEST(known_ones_take_any_place)
{
	prove('A');
	for (char other = 'B'; other <= 'E'; other++)
		up(other, 60);
	for (char other = 'F'; other <= 'I'; other++) {
		now_ms += TICK_MS;
		ck_assert_int_eq(up(other, 60), OWNERSHIP_OWN);
		own_down(other, 50);
	}
	ck_assert_uint_eq(strspn(down(50), "AFGHI"), 5);
	ck_assert_int_eq(up('J', 60), OWNERSHIP_OWN);
	own_down('J', 50);
	ck_assert_uint_eq(strspn(down(50), "AGHIJ"), 5);
}
END_TEST

/* A known one gives way last, though others are answered and spoke later. */
START_TEST(known_one_goes_last)
{
	for (char other = 'B'; other <= 'E'; other++)
		up(other, 60);
	up('F', 60);
	own_down('F', 50);
	now_ms += 1000;
	for (char other = 'B'; other <= 'E'; other++)
		up(other, 60);
	down(50);
	ck_assert_int_eq(up('G', 60), OWNERSHIP_OWN);
	own_down('G', 50);
	ck_assert_ptr_nonnull(strchr(down(1), 'F'));
	ck_assert_ptr_nonnull(strchr(down(1), 'G'));
}
END_TEST

/* An own endpoint that a withheld downlink opened stays open. */
START_TEST(own_endpoint_for_a_withheld_downlink_stays_open)
{
	prove('A');
	up('B', 60);
	down(60000);
	up('B', 1000);
	ck_assert(own_down('B', 100));
	ck_assert_int_eq(up('B', 60), OWNERSHIP_OWN_WITHHELD);
	ck_assert(own_down('B', 100));
	ck_assert_int_eq(up('B', 60), OWNERSHIP_OWN_WITHHELD);
}
END_TEST

/* The address whose own endpoint it was has been proven since. */
START_TEST(own_downlink_to_the_proven_address)
{
	for (char other = 'B'; other <= 'E'; other++)
		up(other, 60);
	ck_assert_int_eq(up('A', 60), OWNERSHIP_OWN);
	prove('A');
	purse_left = 0;
	ck_assert(own_down('A', 60000));
	ck_assert_int_eq(up('A', 60), OWNERSHIP_HOME);
	ck_assert_str_eq(down(60000), "A");
}
END_TEST

START_TEST(own_downlink_of_a_forgotten_session)
{
	const struct ownership_datagram of = datagram_of('F', 180 + OWNERSHIP_ALLOWANCE);

	for (char other = 'B'; other <= 'E'; other++)
		up(other, 60);
	ck_assert_int_eq(up('F', 60), OWNERSHIP_OWN);
	ck_assert(ownership_own_downlink(NULL, &owns['F'], &purse, &of));
	ck_assert(!ownership_own_downlink(NULL, &owns['F'], &purse, &of));
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_add_test(tests, proven_gets_every_downlink);
	tcase_add_test(tests, proven_uplink_changes_nothing);
	tcase_add_test(tests, another_service_is_another_address);
	tcase_add_test(tests, proof_begins_anew);
	tcase_add_test(tests, proof_keeps_the_memory_for_more_places);
	tcase_add_test(tests, places_are_four);
	tcase_add_test(tests, nobody_is_proven);
	tcase_add_loop_test(tests, unanswered_place_goes_first, 0, OWNERSHIP_PLACES);
	tcase_add_loop_test(tests, longest_silent_place_goes_next, 0, OWNERSHIP_PLACES);
	tcase_add_loop_test(tests, place_is_held, 0, 6);
	tcase_add_test(tests, uplinks_hold_a_place);
	tcase_add_test(tests, downlinks_hold_no_place);
	tcase_add_test(tests, clock_that_is_behind);
	tcase_add_test(tests, withheld_opens_an_own_endpoint);
	tcase_add_test(tests, withheld_is_the_last_downlink);
	tcase_add_test(tests, own_endpoint_closes_in_time);
	tcase_add_test(tests, own_endpoint_is_renewed_once_answered);
	tcase_add_test(tests, own_endpoints_of_several);
	tcase_add_loop_test(tests, own_endpoint_stays_closed, 0, 27); /* 4.5 h: they wrap after 4.6 */
	tcase_add_test(tests, own_downlink_makes_known);
	tcase_add_test(tests, known_place_is_held);
	tcase_add_test(tests, known_ones_take_any_place);
	tcase_add_test(tests, known_one_goes_last);
	tcase_add_test(tests, own_endpoint_for_a_withheld_downlink_stays_open);
	tcase_add_test(tests, own_downlink_to_the_proven_address);
	tcase_add_test(tests, own_downlink_of_a_forgotten_session);
}
