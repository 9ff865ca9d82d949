/* What replaced owners get, every limit, and times that wrap. */
#include "tests/fixtures/ownership_flow.h"
#include "tests/unit/suite.h"

START_TEST(replaced_proven_address_returns)
{
	up('F', 60);
	down(50);
	up('F', 60);
	ck_assert_str_eq(down(50), "FA");
	ck_assert_int_eq(up('A', 60), HOME);
	/* No limit; the other is as good as any replaced owner. */
	ck_assert_str_eq(down(200), "AF");
	ck_assert_str_eq(down(65000), "A");
	ck_assert_int_eq(up('F', 60), HOME);
	ck_assert_int_eq(up('A', 60), HOME);
}
END_TEST

START_TEST(replaced_proven_address_returns_within_a_claim)
{
	up('F', 60);
	down(50);
	up('G', 60);
	ck_assert_int_eq(up('A', 60), HOME);
	ck_assert_str_eq(down(50), "AGF");
	ck_assert_str_eq(down(65000), "A");
}
END_TEST

START_TEST(replaced_proven_address_gets_so_many_copies)
{
	up('B', 60);
	down(50);
	up('B', 60);
	for (int i = 0; i < OWNERSHIP_COPIES; i++)
		ck_assert_str_eq(down(65000), "A");
	ck_assert_str_eq(down(65000), "");
	/* It is still known. */
	ck_assert_int_eq(up('A', 60), HOME);
	ck_assert_str_eq(down(65000), "A");
}
END_TEST

START_TEST(replaced_unproven_owner_gets_so_many_copies)
{
	up('B', 1000);
	down(1);
	up('C', 1000);
	down(1);
	up('D', 1000);
	for (int i = 0; i < OWNERSHIP_COPIES - 2; i++)
		ck_assert_str_eq(down(1), "CADB");
	ck_assert_str_eq(down(1), "CADB");
	/* A was replaced a downlink earlier than B. */
	ck_assert_str_eq(down(1), "CDB");
	ck_assert_str_eq(down(1), "CD");
}
END_TEST

START_TEST(long_silent_owner_gets_none)
{
	up('B', 60);
	down(10);
	now_ms += CONTEST_MS - 1;
	up('C', 60);
	down(10);
	now_ms += 1;
	up('D', 60);
	ck_assert_str_eq(down(10), "CAD");
}
END_TEST

START_TEST(former_owner_claims_with_its_own_budget)
{
	up('B', 20);
	down(50);
	up('C', 60);
	down(10);
	up('D', 60); /* B is the former owner, nothing left of its 60 octets */
	ck_assert_str_eq(down(10), "CAD");
	ck_assert_int_eq(up('E', 60), HOME); /* D is the owner, C the former */
	ck_assert_str_eq(down(1), "DAEC");
	ck_assert_int_eq(up('C', 10), HOME); /* E is the owner, D the former */
	ck_assert_str_eq(down(180), "AC");
	/* 60 * 3 - 10 - 10 - 1 + 10 * 3 - 180 */
	ck_assert_str_eq(down(9), "EACD");
	ck_assert_str_eq(down(1), "EAD");
}
END_TEST

START_TEST(claimant_limit)
{
	up('B', 60);
	ck_assert_str_eq(down(181), "A");
	ck_assert_str_eq(down(180), "AB");
	ck_assert_str_eq(down(1), "A");
}
END_TEST

START_TEST(owner_limit_and_rounds)
{
	begin('A', false);
	up('A', 60);
	ck_assert_str_eq(down(181), "");
	ck_assert_str_eq(down(180), "A");
	ck_assert_str_eq(down(1), "");
	up('A', 60); /* the first round */
	ck_assert_str_eq(down(181), "");
	up('A', 60); /* the second */
	ck_assert_str_eq(down(65000), "A");
	ck_assert_str_eq(down(65000), "A");
}
END_TEST

START_TEST(datagrams_without_answers_are_no_rounds)
{
	begin('A', false);
	for (int i = 0; i < 5; i++)
		up('A', 10);
	ck_assert_str_eq(down(151), "");
	ck_assert_str_eq(down(150), "A");
	ck_assert_str_eq(down(1), "");
}
END_TEST

START_TEST(promotion_is_one_round)
{
	up('B', 60);
	down(1000);
	up('B', 60);
	ck_assert_str_eq(down(1000), "A");
	up('B', 60);
	ck_assert_str_eq(down(1000), "BA");
}
END_TEST

START_TEST(budget_does_not_wrap)
{
	up('B', UINT32_MAX);
	up('B', UINT32_MAX);
	ck_assert_str_eq(down((1u << 27) - 1), "AB");
	ck_assert_str_eq(down(1), "A");
}
END_TEST

START_TEST(ports_tell_devices_apart)
{
	struct ownership_peer peer = peer_of('A');
	bool began;

	/* Another service address of ours is the same device. */
	peer.service = 9;
	ck_assert_int_eq(ownership_uplink(&flow, &times, &peer, 60, now_ms, &began), OWNERSHIP_HOME);
	ck_assert_str_eq(down(65000), "A");
	ck_assert_uint_eq(to[0].service, 9);
}
END_TEST

START_TEST(claimant_is_answered_where_it_last_spoke_to)
{
	struct ownership_peer peer = peer_of('B');
	bool began;

	up('B', 60);
	peer.service = 7;
	ownership_uplink(&flow, &times, &peer, 60, now_ms, &began);
	ck_assert_str_eq(down(60), "AB");
	ck_assert_uint_eq(to[1].service, 7);
}
END_TEST

START_TEST(times_wrap)
{
	now_ms = UINT32_MAX - SETTLE_MS + 1;
	up('B', 60);
	now_ms = UINT32_MAX;
	ck_assert_int_eq(up('C', 60), OWN_CONTEST);
	set_up();
	now_ms = UINT32_MAX - SETTLE_MS + 1;
	up('B', 60);
	now_ms = 0;
	ck_assert_int_eq(up('C', 60), HOME);
	set_up();
	now_ms = UINT32_MAX - 10;
	up('B', 60);
	up('C', 60);
	now_ms += CONTEST_MS - 1;
	ck_assert_int_eq(up('B', 60), OWN);
	now_ms += 1;
	ck_assert_int_eq(up('B', 60), HOME);
}
END_TEST

void suite(TCase *tests)
{
	const TTest *rows[] = {
		replaced_proven_address_returns,
		replaced_proven_address_returns_within_a_claim,
		replaced_proven_address_gets_so_many_copies,
		replaced_unproven_owner_gets_so_many_copies,
		long_silent_owner_gets_none,
		former_owner_claims_with_its_own_budget,
		claimant_limit,
		owner_limit_and_rounds,
		datagrams_without_answers_are_no_rounds,
		promotion_is_one_round,
		budget_does_not_wrap,
		ports_tell_devices_apart,
		claimant_is_answered_where_it_last_spoke_to,
		times_wrap,
	};

	tcase_add_checked_fixture(tests, set_up, NULL);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		tcase_add_test(tests, rows[i]);
}
