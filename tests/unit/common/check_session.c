/* Records of an established session. */
#include "tests/fixtures/session_pair.h"
#include "tests/unit/suite.h"

START_TEST(check_tells_new_old_and_forged)
{
	struct pair *pair = pair_established(sizeof server_cid);
	struct session *server = pair->server.session;
	struct datagram first = record_of(pair, "1"), second = record_of(pair, "2"), forged;

	ck_assert_int_eq(session_check(server, first.octets, first.len), SESSION_CHECK_NEWEST);
	ck_assert_int_eq(session_check(server, second.octets, second.len), SESSION_CHECK_NEWEST);
	input(pair, &pair->server, &second);
	ck_assert_int_eq(session_check(server, second.octets, second.len), SESSION_CHECK_FORGED);
	ck_assert_int_eq(session_check(server, first.octets, first.len), SESSION_CHECK_OLD);

	for (size_t i = 0; i < first.len; i++) {
		forged = first;
		forged.octets[i] ^= 1;
		ck_assert_int_eq(session_check(server, forged.octets, forged.len), SESSION_CHECK_FORGED);
		ck_assert_int_eq(session_check(server, first.octets, i), SESSION_CHECK_FORGED);
	}
	input(pair, &pair->server, &first);
	ck_assert_uint_eq(pair->server.delivered, 2);
	ck_assert_mem_eq(pair->server.plain, "1", 1);
	pair_free(pair);
}
END_TEST

START_TEST(forged_and_replayed_records_change_nothing)
{
	struct pair *pair = pair_established(sizeof server_cid);
	struct datagram record = record_of(pair, "true"), forged = record;

	memset(forged.octets + 5, 0xff, 6); /* sequence number 2^48-1 */
	input(pair, &pair->server, &forged);
	forged.octets[DTLS_CID_AT] ^= 1;
	input(pair, &pair->server, &forged);
	ck_assert_uint_eq(pair->server.delivered, 0);
	input(pair, &pair->server, &record);
	input(pair, &pair->server, &record);
	ck_assert_uint_eq(pair->server.delivered, 1);
	ck_assert_uint_eq(pair->server.sent, 3);
	say(pair, &pair->client, &pair->server, "next");
	pair_free(pair);
}
END_TEST

START_TEST(one_datagram_may_hold_several_records)
{
	struct pair *pair = pair_established(sizeof server_cid);
	struct datagram joined = record_of(pair, "1"), second = record_of(pair, "2");

	memcpy(joined.octets + joined.len, second.octets, second.len);
	joined.len += second.len;
	input(pair, &pair->server, &joined);
	ck_assert_uint_eq(pair->server.delivered, 2);
	ck_assert_mem_eq(pair->server.plain, "2", 1);
	pair_free(pair);
}
END_TEST

START_TEST(close_is_seen_by_the_peer)
{
	struct pair *pair = pair_established(sizeof server_cid);

	session_close(pair->client.session);
	ck_assert_int_eq(session_state(pair->client.session), SESSION_CLOSED);
	exchange(pair);
	ck_assert_int_eq(session_state(pair->server.session), SESSION_CLOSED);
	ck_assert_int_eq(session_write(pair->server.session, key, 1), -ENOTCONN);
	pair_free(pair);
}
END_TEST

START_TEST(longest_record_passes_and_one_more_octet_does_not)
{
	static uint8_t octets[SESSION_PLAIN_MAX + 1];
	struct pair *pair = pair_established(sizeof server_cid);

	pair->countdown = 0; /* too long for this test's queue: lost */
	ck_assert_int_eq(session_write(pair->client.session, octets, SESSION_PLAIN_MAX), 0);
	ck_assert_int_eq(session_write(pair->client.session, octets, SESSION_PLAIN_MAX + 1), -EMSGSIZE);
	say(pair, &pair->client, &pair->server, "up");
	pair_free(pair);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, check_tells_new_old_and_forged);
	tcase_add_test(tests, forged_and_replayed_records_change_nothing);
	tcase_add_test(tests, one_datagram_may_hold_several_records);
	tcase_add_test(tests, close_is_seen_by_the_peer);
	tcase_add_test(tests, longest_record_passes_and_one_more_octet_does_not);
}
