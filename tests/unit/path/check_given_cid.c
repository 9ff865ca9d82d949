/* CIDs that a server gives out and that lead elsewhere, in every mode that sees them. */
#include "path/given_cid.h"
#include "path/hints.h"
#include "tests/fixtures/nat_bed.h"
#include "tests/unit/suite.h"

static uint64_t foreign(int at)
{
	return counted()->foreign_cids[bed.configured.uid[at]];
}

static uint16_t leads(int at)
{
	return bed.path->foreign_leads[bed.configured.uid[at]];
}

/* The server of X gives out this CID. Returns which one it is. */
static int give(const char *cid)
{
	const struct arrival first = up(X, seen_datagram(MBEDTLS, 0));

	down(&first, seen_datagram(MBEDTLS, 1));
	up(X, seen_datagram(MBEDTLS, 2));
	ck_assert_str_eq(down(&first, server_hello(cid)), "X");
	return first.at;
}

static void set_rebind(int i)
{
	bed.configured.pool.nat.rebind = i ? REBIND_BACKEND : REBIND_FOLLOW;
	publish();
}

START_TEST(its_own)
{
	set_rebind(_i);
	make_session();
	for (int i = 0; i < NAT_BACKENDS; i++)
		ck_assert_uint_eq(foreign(i), 0);
}
END_TEST

/* The ServerHello is enough: the key exchange does not have to come. */
START_TEST(of_another)
{
	struct arrival at;
	int other;

	set_rebind(_i);
	at = up(X, seen_datagram(MBEDTLS, 0));
	other = (at.at + 1) % NAT_BACKENDS;
	ck_assert_int_eq(give(cid_of(other)), at.at);
	ck_assert_uint_eq(foreign(at.at), 1);
	ck_assert_uint_eq(foreign(other), 0);
	ck_assert_uint_eq(leads(at.at), bed.configured.uid[other] + 1U);
}
END_TEST

START_TEST(of_nobody)
{
	int at;

	set_rebind(_i);
	at = give("005b5eb399c079a3");
	ck_assert_uint_eq(foreign(at), 1);
	ck_assert_uint_eq(leads(at), GIVEN_CID_NOBODY);
}
END_TEST

/* What nobody owns goes by its hash: servers pass it on. What another owns does not. */
START_TEST(unknown_cid_hash)
{
	int at;

	bed.configured.pool.unknown_cid = UNKNOWN_CID_HASH;
	publish();
	at = give("005b5eb399c079a3");
	ck_assert_uint_eq(foreign(at), 0);
	ck_assert_int_eq(give(cid_of((at + 1) % NAT_BACKENDS)), at);
	ck_assert_uint_eq(foreign(at), 1);
}
END_TEST

/* Any CID is right there. */
START_TEST(scheme_hash)
{
	bed.configured.pool.layout = (struct cid_layout){ .scheme = CID_LAYOUT_HASH, .length = NAT_CID_OCTETS };
	publish();
	ck_assert_uint_eq(foreign(give("005b5eb399c079a3")), 0);
}
END_TEST

/* The modes without flows read it on its way down, too, and nothing else. */
START_TEST(hints)
{
	const struct addr device = addr_of(X);
	const struct snapshot_pool *pool = &path_bed_table(&bed)->snapshot->pools[0];
	const char *const replies[] = { seen_datagram(MBEDTLS, 1), server_hello(cid_of(1)), CHANGE FINISHED, DATA };

	for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
		const struct octets octets = octets_of(replies[i]);

		for (int at = 0; at < 2; at++)
			hints_reply(bed.path, &(struct hints_reply){ pool, bed.configured.uid[at], &device, octets.at,
								     octets.len, &path_bed_table(&bed)->pools[0] });
		free(octets.at);
	}
	ck_assert_uint_eq(foreign(0), 1);
	ck_assert_uint_eq(leads(0), bed.configured.uid[1] + 1U);
	ck_assert_uint_eq(foreign(1), 0);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, its_own, 0, 2);
	tcase_add_loop_test(tests, of_another, 0, 2);
	tcase_add_loop_test(tests, of_nobody, 0, 2);
	tcase_add_test(tests, unknown_cid_hash);
	tcase_add_test(tests, scheme_hash);
	tcase_add_test(tests, hints);
}
