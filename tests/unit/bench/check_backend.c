/* The reference server over real sockets on loopback, in this process: which peer a datagram belongs to, and where it
 * answers. */
#include <stdlib.h>
#include <string.h>

#include "bench/programs/backend/cid_option.h"
#include "tests/fixtures/backend_fixture.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

START_TEST(cid_carries_the_server_id_and_survives_moves)
{
	uint8_t cid[SESSION_CID_MAX];

	server_start(CID_OCTETS);
	struct client *client = client_established(new_place(), true);
	ck_assert_uint_eq(session_peer_cid(client->session, cid), CID_OCTETS);
	ck_assert_uint_eq(cid[0], SERVER_ID);
	for (uint8_t i = 0; i < 5; i++) {
		ck_assert(is_served(client, i));
		move(client);
	}
	ck_assert_uint_eq(server->report.address_changes, 4);
	ck_assert_uint_eq(server->report.max_address_changes, 4);
	ck_assert_uint_eq(server->report.sessions_by_changes[4], 1);
	ck_assert_uint_eq(server->report.handshakes, 1);
	ck_assert_uint_eq(server->report.sessions, 1);
	client_free(client);
	server_stop();
}
END_TEST

static const struct {
	const char *option;
	uint32_t id;
	uint8_t id_octets[6];
} encrypted[] = {
	{ "rotation=1,server_id_length=2,nonce_length=6,key=8f95f09245765f80256934e50c66207f", 258, { 1, 2 } },
	{ "rotation=5,server_id_length=6,nonce_length=10,key=8f95f09245765f80256934e50c66207f",
	  0xfffefdfc,
	  { 0, 0, 0xff, 0xfe, 0xfd, 0xfc } },
	{ "rotation=0,server_id_length=2,nonce_length=6", 0xffff, { 0xff, 0xff } },
};

START_TEST(quic_lb_cid_carries_the_server_id_and_survives_moves)
{
	uint8_t cid[SESSION_CID_MAX], id[LBCID_MAX_ID_OCTETS];
	const struct lbcid_config *config = &options_used.cid;
	struct lbcid_key *cid_key;

	server_start(CID_OCTETS);
	server_free(server);
	ck_assert_int_eq(cid_option_read(&options_used.cid, &cid_key, encrypted[_i].option), 0);
	options_used.id = encrypted[_i].id;
	ck_assert_int_eq(server_new(&server, base, &options_used), 0);
	struct client *client = client_established(new_place(), true);
	ck_assert_uint_eq(session_peer_cid(client->session, cid), config->length);
	ck_assert_uint_eq(cid[0], (unsigned)config->rotation << 5 | (config->length - 1U));
	ck_assert_int_eq(lbcid_open(config, cid, config->length, id), 0);
	ck_assert_mem_eq(id, encrypted[_i].id_octets, config->size);
	ck_assert((memcmp(cid + 1, id, config->size) == 0) == !cid_key);
	for (uint8_t i = 0; i < 5; i++) {
		ck_assert(is_served(client, i));
		move(client);
	}
	ck_assert_uint_eq(server->report.address_changes, 4);
	ck_assert_uint_eq(server->report.handshakes, 1);
	ck_assert_uint_eq(server->report.unknown_cid, 0);
	client_free(client);
	server_stop();
	lbcid_key_free(cid_key);
}
END_TEST

START_TEST(forged_record_does_not_move_the_session)
{
	server_start(CID_OCTETS);
	struct client *client = client_established(new_place(), true);
	int elsewhere = new_place();

	request(client, 1);
	ck_assert(answered(client, 1));
	uint8_t forged[DATAGRAM];
	memcpy(forged, client->kept, client->kept_len);
	memset(forged + 5, 0xff, 6); /* sequence number 2^48-1 */
	ck_assert_int_eq(udp_send(elsewhere, NULL, forged, client->kept_len), 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	/* and a replay */
	ck_assert_int_eq(udp_send(elsewhere, NULL, client->kept, client->kept_len), 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_uint_eq(server->report.forged_records, 2);
	ck_assert_uint_eq(server->report.address_changes, 0);
	ck_assert_int_lt(udp_receive(elsewhere, forged, sizeof forged, NULL), 0);
	ck_assert(is_served(client, 2));
	close(elsewhere);
	client_free(client);
	server_stop();
}
END_TEST

/* RFC 9146, section 6: an older record from elsewhere is served, and the answer goes where the newest came from. */
START_TEST(late_record_does_not_move_the_session_back)
{
	uint8_t late[DATAGRAM], data[DATAGRAM];

	server_start(CID_OCTETS);
	struct client *client = client_established(new_place(), true);
	int old_place = client->fd;
	client->held = true;
	request(client, 1);
	size_t late_len = client->kept_len;
	memcpy(late, client->kept, late_len);
	client->held = false;
	client->fd = new_place();
	ck_assert(is_served(client, 2));
	ck_assert_int_eq(udp_send(old_place, NULL, late, late_len), 0);
	ck_assert(answered(client, 1));
	ck_assert_int_lt(udp_receive(old_place, data, sizeof data, NULL), 0);
	ck_assert_uint_eq(server->report.address_changes, 1);
	close(old_place);
	client_free(client);
	server_stop();
}
END_TEST

START_TEST(nothing_is_kept_before_the_cookie)
{
	server_start(CID_OCTETS);
	for (int i = 0; i < 20; i++) {
		struct client *client = client_new(new_place(), true);
		event_base_loop(base, EVLOOP_NONBLOCK);
		client_free(client);
	}
	ck_assert_uint_eq(server->report.datagrams, 20);
	ck_assert_uint_eq(server->peer_count, 0);
	ck_assert_uint_eq(server->report.handshakes_started, 0);
	struct client *client = client_established(new_place(), true);
	ck_assert_uint_eq(server->report.handshakes_started, 1);
	client_free(client);
	server_stop();
}
END_TEST

/* RFC 6347, section 4.2.8: a new handshake from the address of a live session. With a CID both live; without, the old
 * one ends. */
START_TEST(new_handshake_from_an_address_in_use)
{
	bool use_cid = _i;

	server_start(CID_OCTETS);
	struct client *first = client_established(new_place(), use_cid);
	struct client *second = client_new(dup(first->fd), use_cid);
	event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_uint_eq(server->report.sessions, 1); /* no cookie yet: nothing has happened */
	run(second);
	ck_assert_int_eq(session_state(second->session), SESSION_ESTABLISHED);
	ck_assert(is_served(second, 1));
	ck_assert(is_served(first, 2) == use_cid);
	ck_assert(is_served(second, 3));
	ck_assert_uint_eq(server->report.handshakes, 2);
	ck_assert_uint_eq(server->report.sessions, use_cid ? 2 : 1);
	client_free(first);
	client_free(second);
	server_stop();
}
END_TEST

START_TEST(move_to_the_address_of_a_session_without_cid_harms_neither)
{
	server_start(CID_OCTETS);
	struct client *plain = client_established(new_place(), false);
	struct client *mover = client_established(new_place(), true);
	close(mover->fd);
	mover->fd = dup(plain->fd);
	ck_assert(is_served(mover, 1));
	ck_assert(is_served(plain, 2));
	ck_assert(is_served(mover, 3));
	ck_assert_uint_eq(server->report.address_changes, 1);
	client_free(plain);
	client_free(mover);
	server_stop();
}
END_TEST

/* The device moves between the server's flight and its own last one. */
START_TEST(move_in_the_middle_of_the_handshake)
{
	uint8_t data[DATAGRAM];

	server_start(CID_OCTETS);
	struct client *client = client_new(new_place(), true);
	for (int flight = 0; flight < 2; flight++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		ssize_t len = udp_receive(client->fd, data, sizeof data, NULL);
		ck_assert_int_gt(len, 0);
		if (flight == 1)
			move(client);
		session_input(client->session, data, (size_t)len, clock_ms());
	}
	run(client);
	ck_assert_int_eq(session_state(client->session), SESSION_ESTABLISHED);
	ck_assert_uint_eq(server->report.address_changes, 1);
	ck_assert(is_served(client, 1));
	client_free(client);
	server_stop();
}
END_TEST

START_TEST(unknown_cid_is_counted_and_dropped)
{
	static const uint8_t unknown[] = { 25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1,  3,  1,  2,  3,  4,  5, 0,
					   16, 1,    2,    3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
	uint8_t data[DATAGRAM];
	int fd;

	server_start(CID_OCTETS);
	fd = new_place();
	for (size_t len = 0; len <= sizeof unknown; len++)
		ck_assert_int_eq(udp_send(fd, NULL, unknown, len), 0);
	for (int i = 0; i < 3; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_uint_eq(server->report.datagrams, sizeof unknown + 1);
	ck_assert_uint_ge(server->report.unknown_cid, 1);
	ck_assert_uint_eq(server->peer_count, 0);
	ck_assert_int_lt(udp_receive(fd, data, sizeof data, NULL), 0);
	close(fd);
	server_stop();
}
END_TEST

START_TEST(closed_session_is_forgotten)
{
	server_start(CID_OCTETS);
	struct client *client = client_established(new_place(), true);
	move(client);
	session_close(client->session);
	event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_uint_eq(server->report.sessions, 0);
	ck_assert_uint_eq(server->peer_count, 0);
	client_free(client);
	server_stop();
}
END_TEST

START_TEST(server_without_cid_loses_whoever_moves)
{
	server_start(0);
	struct client *client = client_established(new_place(), true);
	ck_assert(!session_uses_cid(client->session));
	ck_assert(is_served(client, 1));
	move(client);
	ck_assert(!is_served(client, 2));
	client_free(client);
	server_stop();
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, cid_carries_the_server_id_and_survives_moves);
	tcase_add_loop_test(tests, quic_lb_cid_carries_the_server_id_and_survives_moves, 0, COUNT_OF(encrypted));
	tcase_add_test(tests, forged_record_does_not_move_the_session);
	tcase_add_test(tests, late_record_does_not_move_the_session_back);
	tcase_add_test(tests, nothing_is_kept_before_the_cookie);
	tcase_add_loop_test(tests, new_handshake_from_an_address_in_use, 0, 2);
	tcase_add_test(tests, move_to_the_address_of_a_session_without_cid_harms_neither);
	tcase_add_test(tests, move_in_the_middle_of_the_handshake);
	tcase_add_test(tests, unknown_cid_is_counted_and_dropped);
	tcase_add_test(tests, closed_session_is_forgotten);
	tcase_add_test(tests, server_without_cid_loses_whoever_moves);
}
