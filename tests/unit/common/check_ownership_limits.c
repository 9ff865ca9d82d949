/* What an address that is not proven may get, the contest "home", and any sequence of datagrams. The test keeps sums of
 * its own. */
#include "tests/fixtures/ownership_flow.h"
#include "tests/unit/suite.h"

enum { STEPS = 100000, SEEDS = 3 };

START_TEST(credit_is_three_times_what_was_sent)
{
	purse_left = 0;
	up('B', 60);
	ck_assert_str_eq(down(181), "");
	ck_assert_str_eq(down(100), "B");
	ck_assert_str_eq(down(80), "B");
	ck_assert_str_eq(down(1), "");
	up('B', 1);
	up('B', 1);
}
END_TEST

START_TEST(credit_adds_up_and_is_bounded)
{
	purse_left = 0;
	up('B', 20);
	up('B', 20);
	ck_assert_str_eq(down(120), "B");
	for (int i = 0; i < 100; i++)
		up('B', 1400);
	ck_assert_str_eq(down(OWNERSHIP_CREDIT_MAX), "B");
	ck_assert_str_eq(down(1), "");
	ck_assert_int_eq(up('B', UINT32_MAX), OWNERSHIP_OWN_WITHHELD);
	ck_assert_str_eq(down(OWNERSHIP_CREDIT_MAX), "B");
}
END_TEST

START_TEST(allowance_is_for_each_uplink)
{
	up('B', 10);
	ck_assert_str_eq(down(30 + OWNERSHIP_ALLOWANCE), "B");
	ck_assert_str_eq(down(1), "");
	up('B', 10);
	ck_assert_str_eq(down(30 + OWNERSHIP_ALLOWANCE + 1), "");
	ck_assert_str_eq(down(30 + 1000), "B");
	ck_assert_str_eq(down(OWNERSHIP_ALLOWANCE - 1000), "B");
	ck_assert_str_eq(down(1), "");
	/* What was not used of it does not add up. */
	up('B', 10);
	up('B', 10);
	ck_assert_str_eq(down(60 + OWNERSHIP_ALLOWANCE + 1), "");
	ck_assert_str_eq(down(60 + OWNERSHIP_ALLOWANCE), "B");
}
END_TEST

/* Credit goes first. What is withheld costs nothing. */
START_TEST(purse_pays_what_is_beyond)
{
	purse_left = 100;
	up('B', 100);
	ck_assert_str_eq(down(300), "B");
	ck_assert_uint_eq(purse_left, 100);
	up('B', 10);
	ck_assert_str_eq(down(131), "");
	ck_assert_uint_eq(purse_left, 100);
	ck_assert_str_eq(down(130), "B");
	ck_assert_uint_eq(purse_left, 0);
	ck_assert_uint_eq(paid['B'], 100);
}
END_TEST

/* The credit that an address without a place has earned goes along when it becomes known. It is one account. */
START_TEST(account_of_an_own_endpoint)
{
	purse_left = 0;
	for (char other = 'B'; other <= 'E'; other++)
		up(other, 60);
	up('F', 100);
	up('F', 100);
	ck_assert(own_down('F', 500));
	ck_assert_ptr_null(strchr(down(101), 'F'));
	ck_assert_ptr_nonnull(strchr(down(100), 'F'));
	ck_assert(!own_down('F', 1));
	ck_assert(
		!ownership_own_downlink(NULL, &owns['F'], &purse, &(struct ownership_datagram){ pair_of('F'), 1, 0 }));
}
END_TEST

/* An address in a place has one account for both its endpoints. */
START_TEST(one_account_for_both_endpoints)
{
	purse_left = 0;
	up('B', 60);
	down(60000);
	ck_assert_int_eq(up('B', 60), OWNERSHIP_OWN_WITHHELD);
	ck_assert(own_down('B', 300));
	ck_assert_str_eq(down(61), "");
	ck_assert_str_eq(down(60), "B");
	ck_assert(!own_down('B', 1));
}
END_TEST

/* An address that its device has left runs dry. That is nothing to tell of. */
START_TEST(withheld_of_those_who_speak)
{
	const struct ownership_datagram large = { .octets = 60000, .now_ms = now_ms };
	const struct ownership_datagram late = { .octets = 60000, .now_ms = now_ms + OWNERSHIP_OPEN_MS };
	struct ownership_pair to[OWNERSHIP_WAYS_BACK];

	up('A', 60);
	up('B', 60);
	ck_assert_uint_eq(ownership_downlink(&session, &large, &purse, to, &withheld), 0);
	ck_assert_uint_eq(withheld, 2);
	ck_assert_uint_eq(ownership_downlink(&session, &late, &purse, to, &withheld), 0);
	ck_assert_uint_eq(withheld, 0);
}
END_TEST

START_TEST(own_downlink_that_is_withheld)
{
	for (char other = 'B'; other <= 'E'; other++)
		up(other, 60);
	up('F', 60);
	ck_assert(!own_down('F', 180 + OWNERSHIP_ALLOWANCE + 1));
	ck_assert_uint_eq(paid['F'], 0);
	/* The backend has moved all the same. */
	ck_assert_int_eq(up('F', 60), OWNERSHIP_OWN_WITHHELD);
}
END_TEST

/* contest = "home": own endpoints never open. */
START_TEST(home_has_32_places)
{
	char all[OWNERSHIP_PLACES_HOME + 2] = "A";

	purse_left = 0;
	prove('A');
	for (int i = 0; i < OWNERSHIP_PLACES_HOME; i++) {
		all[i + 1] = (char)('B' + i);
		up_home(all[i + 1], 60);
	}
	ck_assert_str_eq(down(50), all);
	ck_assert_str_eq(down(60000), "A");
	ck_assert_uint_eq(withheld, OWNERSHIP_PLACES_HOME);
	up_home('B', 60);
	ck_assert(!ownership_asks_own(&session, &(struct ownership_datagram){ pair_of('B'), 60, now_ms }));
	ck_assert_str_eq(down(131), "AB");
}
END_TEST

/* Another address takes the worst place, though its holder is not silent. */
START_TEST(home_takes_the_worst_place)
{
	prove('A');
	for (int i = 0; i < OWNERSHIP_PLACES_HOME; i++) {
		up_home((char)('B' + i), 60);
		now_ms += TICK_MS;
	}
	down(50);
	up_home('a' + 26, 60);
	ck_assert_uint_eq(strlen(down(1)), 1 + OWNERSHIP_PLACES_HOME);
	ck_assert_ptr_null(strchr(down(1), 'B'));
	/* Unanswered ones go first, whoever was silent longer. */
	up_home('a' + 27, 60);
	ck_assert_ptr_null(strchr(down(1), 'C'));
	up_home('a' + 28, 60);
	now_ms += TICK_MS;
	up_home('a' + 29, 60);
	ck_assert_ptr_null(strchr(down(1), 'a' + 28));
	ck_assert_ptr_nonnull(strchr(down(1), 'E'));
}
END_TEST

START_TEST(home_wants_more_places_only_for_a_fifth)
{
	const struct ownership_pair a = pair_of('A'), b = pair_of('B'), f = pair_of('F');

	prove('A');
	for (char other = 'B'; other <= 'E'; other++) {
		ck_assert(!ownership_wants_many(&session, &f));
		up_home(other, 60);
	}
	ck_assert(!ownership_wants_many(&session, &a));
	ck_assert(!ownership_wants_many(&session, &b));
	ck_assert(ownership_wants_many(&session, &f));
	/* There is no memory. */
	ownership_uplink_home(&session, &(struct ownership_datagram){ f, 60, now_ms });
	ck_assert_uint_eq(strlen(down(50)), 5);
	ck_assert_ptr_nonnull(strchr(down(1), 'F'));
	ownership_expand(&session, many);
	ck_assert(!ownership_wants_many(&session, &b));
}
END_TEST

static uint64_t dice;

static uint32_t below(uint32_t limit)
{
	dice = dice * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((dice >> 33) % limit);
}

/* What each address sent and got, over E0 and its own endpoint. */
static struct {
	uint64_t sent, datagrams, got;
} sums[LETTERS];

static void sum_down(const char *names, uint32_t octets)
{
	for (; *names; names++)
		sums[(unsigned char)*names].got += octets;
}

static void random_up(char from, bool home)
{
	const uint32_t octets = 1 + below(below(4) ? 100 : 1400);

	if (home)
		up_home(from, octets);
	else
		up(from, octets);
	sums[(unsigned char)from].sent += octets;
	sums[(unsigned char)from].datagrams++;
}

static void random_down(bool home, char to)
{
	const uint32_t octets = 1 + below(below(4) ? 200 : 5000);
	const char *names;

	if (!home && below(3) == 0 && owns[(unsigned char)to].account.allowance + owns[(unsigned char)to].until) {
		if (own_down(to, octets))
			sums[(unsigned char)to].got += octets;
		return;
	}
	names = down(octets);
	if (session.has_proven && names[0] != (char)session.proven.device.port)
		ck_abort_msg("the proven address is left out");
	for (const char *at = names; *at; at++)
		if (strchr(at + 1, *at))
			ck_abort_msg("%c gets it twice", *at);
	sum_down(names, octets);
}

static uint32_t random_pause(void)
{
	switch (below(50)) {
	case 0:
		return below(200000);
	case 1:
	case 2:
		return below(12000);
	default:
		return below(300);
	}
}

/* Promises a and b, whatever happens, and whenever: the clock wraps meanwhile. `_i`: with and without a purse, with
 * and without a proven address, either contest. */
START_TEST(any_sequence)
{
	const bool home = _i & 1, has_purse = _i & 2, proves = _i & 4;
	const char *addresses = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	dice = (uint64_t)_i * 977 + 1;
	now_ms = UINT32_MAX - 20000000;
	memset(sums, 0, sizeof sums);
	if (proves)
		prove('A');
	for (int step = 0; step < STEPS; step++) {
		const char who = addresses[below(below(2) ? 26 : 7)];

		if (!has_purse || below(10) == 0)
			purse_left = 0;
		else if (below(5) == 0)
			purse_left = below(20000);
		if (below(2))
			random_up(who, home);
		else
			random_down(home, who);
		now_ms += random_pause();
		if (step % 16 != 0)
			continue;
		for (const char *at = addresses; *at; at++) {
			const unsigned char of = (unsigned char)*at;

			if (proves && *at == 'A')
				continue;
			/* Every assertion costs a system call. */
			if (sums[of].got > 3 * sums[of].sent + paid[of] ||
			    paid[of] > OWNERSHIP_ALLOWANCE * sums[of].datagrams)
				ck_abort_msg("%c got too much", *at);
		}
	}
	/* The test would not see that nothing is sent. */
	ck_assert_uint_gt(sums['B'].got, sums['B'].sent);
	ck_assert_uint_gt(sums['C'].got, sums['C'].sent);
	ck_assert(!has_purse || paid['B'] > 0);
}
END_TEST

/* Promise c: with no more addresses than places, a backend sees one address until a downlink was withheld. */
START_TEST(one_address_unless_withheld)
{
	bool was_withheld[LETTERS] = { false };
	unsigned homes = 0, owned = 0;

	dice = (uint64_t)_i + 1;
	prove('A');
	for (int step = 0; step < STEPS; step++) {
		const char who = (char)('A' + below(5));
		const uint32_t octets = 1 + below(400);

		if (below(2)) {
			const enum ownership_way way = up(who, octets);

			if (way == OWNERSHIP_OWN ||
			    (way == OWNERSHIP_OWN_WITHHELD && !was_withheld[(unsigned char)who]))
				ck_abort_msg("%c is another address to the backend", who);
			++*(way == OWNERSHIP_HOME ? &homes : &owned);
		} else {
			const char *names = down(octets);

			for (char other = 'B'; other <= 'E'; other++)
				was_withheld[(unsigned char)other] |= !strchr(names, other);
		}
		/* Until the last one is closed: 60 s, and all endpoints of before are closed. */
		if (below(3000) == 0) {
			pass_surely(OWNERSHIP_OPEN_MS);
			for (char other = 'B'; other <= 'E'; other++)
				up(other, octets);
			pass_surely(OWNERSHIP_OPEN_MS);
			memset(was_withheld, 0, sizeof was_withheld);
			for (char other = 'B'; other <= 'E'; other++)
				ck_assert_int_eq(up(other, 1400), OWNERSHIP_HOME);
		}
		now_ms += below(100);
	}
	ck_assert_uint_gt(homes, 1000);
	ck_assert_uint_gt(owned, 1000);
}
END_TEST

/* Whatever the clock reads at first. */
START_TEST(time_wraps)
{
	static const uint32_t begins[] = { 0,
					   UINT32_MAX,
					   UINT32_MAX - 2500,
					   UINT32_MAX - OWNERSHIP_OPEN_MS,
					   UINT16_MAX * TICK_MS,
					   UINT16_MAX * TICK_MS - 2500,
					   INT16_MAX * TICK_MS };

	now_ms = begins[_i];
	prove('A');
	for (char other = 'B'; other <= 'E'; other++)
		ck_assert_int_eq(up(other, 60), OWNERSHIP_HOME);
	down(60000);
	ck_assert_int_eq(up('B', 60), OWNERSHIP_OWN_WITHHELD);
	pass_not_quite(OWNERSHIP_HOLD_MS);
	ck_assert_int_eq(up('F', 60), OWNERSHIP_OWN);
	now_ms += 2 * TICK_MS;
	ck_assert_int_eq(up('G', 60), OWNERSHIP_HOME);
	ck_assert_int_eq(up('B', 60), OWNERSHIP_OWN_WITHHELD);
	pass_surely(OWNERSHIP_OPEN_MS);
	ck_assert_int_eq(up('B', 60), OWNERSHIP_HOME);
	ck_assert_int_eq(up('F', 60), OWNERSHIP_HOME);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_add_test(tests, credit_is_three_times_what_was_sent);
	tcase_add_test(tests, credit_adds_up_and_is_bounded);
	tcase_add_test(tests, allowance_is_for_each_uplink);
	tcase_add_test(tests, purse_pays_what_is_beyond);
	tcase_add_test(tests, account_of_an_own_endpoint);
	tcase_add_test(tests, one_account_for_both_endpoints);
	tcase_add_test(tests, withheld_of_those_who_speak);
	tcase_add_test(tests, own_downlink_that_is_withheld);
	tcase_add_test(tests, home_has_32_places);
	tcase_add_test(tests, home_takes_the_worst_place);
	tcase_add_test(tests, home_wants_more_places_only_for_a_fifth);
	tcase_add_loop_test(tests, any_sequence, 0, 8);
	tcase_add_loop_test(tests, one_address_unless_withheld, 0, SEEDS);
	tcase_add_loop_test(tests, time_wraps, 0, 7);
}
