/* Who owns a flow: every row of the table in common/ownership.h. */
#include "tests/fixtures/ownership_flow.h"
#include "tests/unit/suite.h"

START_TEST(owner_alone)
{
	ck_assert_int_eq(up('A', 60), HOME);
	ck_assert_str_eq(down(65000), "A");
	ck_assert_int_eq(up('A', 60), HOME);
	ck_assert_str_eq(down(65000), "A");
	ck_assert_str_eq(down(65000), "A");
}
END_TEST

START_TEST(further_address_claims)
{
	up('A', 60);
	ck_assert_int_eq(up('B', 60), HOME);
	ck_assert_str_eq(down(50), "AB");
}
END_TEST

START_TEST(proven_owner_refutes_a_claim)
{
	up('B', 60);
	ck_assert_int_eq(up('A', 60), HOME);
	ck_assert_str_eq(down(50), "AB");
	/* What came then may have been for A. */
	ck_assert_int_eq(up('B', 60), HOME);
	ck_assert_str_eq(down(50), "AB");
	ck_assert_int_eq(up('B', 60), HOME);
	ck_assert_str_eq(down(50), "BA");
}
END_TEST

START_TEST(claimant_of_a_contest_still_gets_its_answer)
{
	up('B', 60);
	ck_assert_int_eq(up('C', 60), OWN_CONTEST);
	ck_assert_str_eq(down(100), "AB");
	ck_assert_str_eq(down(100), "A");
}
END_TEST

START_TEST(unproven_owner_meets_a_claim)
{
	begin('A', false);
	ck_assert_int_eq(up('A', 60), HOME);
	ck_assert_int_eq(up('B', 60), HOME);
	/* The last datagram from an old address, overtaken. */
	ck_assert_int_eq(up('A', 60), HOME);
	ck_assert_int_eq(up('B', 60), HOME);
	ck_assert_int_eq(up('A', 60), OWN_CONTEST);
	ck_assert_int_eq(up('A', 60), OWN);
	ck_assert_int_eq(up('B', 60), OWN);
	ck_assert_str_eq(down(100), "AB");
}
END_TEST

/* Its NAT gave it an earlier address again, and then a new one. */
START_TEST(refuted_claimant_makes_room)
{
	begin('A', false);
	up('A', 60);
	up('B', 60);
	down(50);
	ck_assert_int_eq(up('A', 60), HOME);
	ck_assert_int_eq(up('A', 60), HOME);
	down(50);
	ck_assert_int_eq(up('C', 60), HOME);
	ck_assert_str_eq(down(50), "ACB");
}
END_TEST

START_TEST(claimant_refuted_twice_is_a_contest)
{
	begin('A', false);
	up('A', 60);
	up('B', 60);
	down(50);
	ck_assert_int_eq(up('A', 60), HOME);
	ck_assert_int_eq(up('B', 60), HOME);
	down(50);
	ck_assert_int_eq(up('A', 60), OWN_CONTEST);
}
END_TEST

START_TEST(unanswered_claimant_stays_claimant)
{
	ck_assert_int_eq(up('B', 20), HOME);
	ck_assert_int_eq(up('B', 20), HOME);
	/* Two datagrams, three times their octets. */
	ck_assert_str_eq(down(120), "AB");
	ck_assert_str_eq(down(1), "A");
}
END_TEST

START_TEST(answered_claimant_becomes_owner)
{
	up('B', 60);
	down(50);
	ck_assert_int_eq(up('B', 60), HOME);
	/* The owner is first, the replaced one gets a copy. */
	ck_assert_str_eq(down(50), "BA");
	ck_assert_int_eq(up('B', 60), HOME);
}
END_TEST

START_TEST(further_address_confirms_an_answered_claimant)
{
	up('B', 60);
	down(50);
	ck_assert_int_eq(up('C', 60), HOME);
	ck_assert_str_eq(down(50), "BAC");
	ck_assert_int_eq(up('D', 60), HOME);
	ck_assert_str_eq(down(50), "CADB");
}
END_TEST

START_TEST(silent_claimant_is_replaced)
{
	up('B', 60);
	now_ms += SETTLE_MS - 1;
	up('B', 60);
	now_ms += SETTLE_MS;
	ck_assert_int_eq(up('C', 60), HOME);
	ck_assert_str_eq(down(50), "AC");
}
END_TEST

START_TEST(two_claims_at_once_are_a_contest)
{
	up('B', 60);
	now_ms += SETTLE_MS - 1;
	ck_assert_int_eq(up('C', 60), OWN_CONTEST);
	ck_assert_int_eq(up('C', 60), OWN);
	ck_assert_int_eq(up('B', 60), OWN);
	ck_assert_int_eq(up('A', 60), HOME);
	ck_assert_str_eq(down(50), "AB");
}
END_TEST

START_TEST(contests_are_counted)
{
	ck_assert_uint_eq(flow.contests, 0);
	for (unsigned i = 1; i <= 300; i++) {
		up('B', 60);
		ck_assert_int_eq(up('C', 60), OWN_CONTEST);
		ck_assert_int_eq(up('C', 60), OWN);
		ck_assert_uint_eq(flow.contests, i < 255 ? i : 255);
		now_ms += CONTEST_MS;
	}
}
END_TEST

START_TEST(contest_ends)
{
	up('B', 60);
	up('C', 60);
	now_ms += CONTEST_MS - 1;
	ck_assert_int_eq(up('B', 60), OWN);
	now_ms += 1;
	ck_assert_int_eq(up('D', 60), HOME);
	ck_assert_str_eq(down(50), "AD");
}
END_TEST

START_TEST(contest_is_not_begun_twice)
{
	up('B', 60);
	ck_assert_int_eq(up('C', 60), OWN_CONTEST);
	now_ms += CONTEST_MS / 2;
	ck_assert_int_eq(up('C', 60), OWN);
	ck_assert_int_eq(up('A', 60), HOME);
	now_ms += CONTEST_MS / 2;
	ck_assert_int_eq(up('C', 60), HOME);
}
END_TEST

START_TEST(proof_makes_the_owner)
{
	up('B', 60);
	ck_assert_int_eq(up('C', 60), OWN_CONTEST);
	prove('C');
	ck_assert_int_eq(up('C', 60), HOME);
	ck_assert_str_eq(down(65000), "C");
	/* The contest goes on for the others, among them the former owner. */
	ck_assert_int_eq(up('A', 60), OWN);
	ck_assert_int_eq(up('B', 60), OWN);
	ck_assert_str_eq(down(65000), "C");
}
END_TEST

START_TEST(proof_of_the_owner_lifts_its_limit)
{
	begin('A', false);
	up('A', 60);
	ck_assert_str_eq(down(181), "");
	prove('A');
	ck_assert_str_eq(down(65000), "A");
}
END_TEST

void suite(TCase *tests)
{
	const TTest *rows[] = {
		owner_alone,
		further_address_claims,
		proven_owner_refutes_a_claim,
		claimant_of_a_contest_still_gets_its_answer,
		unproven_owner_meets_a_claim,
		refuted_claimant_makes_room,
		claimant_refuted_twice_is_a_contest,
		unanswered_claimant_stays_claimant,
		answered_claimant_becomes_owner,
		further_address_confirms_an_answered_claimant,
		silent_claimant_is_replaced,
		two_claims_at_once_are_a_contest,
		contests_are_counted,
		contest_ends,
		contest_is_not_begun_twice,
		proof_makes_the_owner,
		proof_of_the_owner_lifts_its_limit,
	};

	tcase_add_checked_fixture(tests, set_up, NULL);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		tcase_add_test(tests, rows[i]);
}
