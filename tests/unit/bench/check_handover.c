/* Sessions from one server to the next, through a file: real sessions, sockets and files, in this process. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bench/programs/backend/cid_option.h"
#include "tests/fixtures/handover_fixture.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

/* Epoch and sequence number of a CID record or any other. */
static uint64_t number_of(const uint8_t *record)
{
	uint64_t number = 0;

	for (int i = 3; i < 11; i++)
		number = number << 8 | record[i];
	return number;
}

START_TEST(sessions_go_on)
{
	struct client *client = client_established(new_place(), true);

	ck_assert(is_served(client, 1));
	for (uint8_t generation = 0; generation < 3; generation++) {
		uint64_t before = number_of(client->received);
		options_used.id++;
		hand_over();
		ck_assert_uint_eq(server->report.sessions_loaded, 1);
		ck_assert_uint_eq(server->report.sessions, 1);
		ck_assert_uint_eq(server->report.max_address_changes, generation);
		ck_assert_uint_eq(server->report.sessions_by_changes[generation], 1);
		ck_assert(is_served(client, 2));
		/* One nonce is never used twice. */
		ck_assert_uint_gt(number_of(client->received), before);
		move(client);
		ck_assert(is_served(client, 3));
		ck_assert_uint_eq(server->report.address_changes, 1);
		ck_assert_uint_eq(server->report.handshakes, 0);
	}
	client_free(client);
}
END_TEST

/* New sessions get the CIDs of the server they come to; what it claims are the ids of all. */
START_TEST(ids_accumulate)
{
	uint8_t cid[SESSION_CID_MAX];
	char text[SERVICE_TEXT_OCTETS + 1];
	struct client *clients[3];

	for (int i = 0; i < COUNT_OF(clients); i++) {
		if (i) {
			options_used.id = (uint8_t)(SERVER_ID + i);
			hand_over();
		}
		clients[i] = client_established(new_place(), true);
		ck_assert_uint_eq(session_peer_cid(clients[i]->session, cid), CID_OCTETS);
		ck_assert_int_eq(cid[0], SERVER_ID + i);
		for (int j = 0; j <= i; j++)
			ck_assert(is_served(clients[j], 1));
	}
	text[service_describe(&server->service, text)] = '\0';
	ck_assert_msg(strncmp(text, "up id:5 id:3 id:4\n", 18) == 0, "%s", text);
	for (int i = 0; i < COUNT_OF(clients); i++)
		client_free(clients[i]);
}
END_TEST

static const struct {
	const char *option;
	uint32_t id;
	uint8_t first; /* octet of its CIDs */
} rotations[] = {
	{ "rotation=0,server_id_length=2,nonce_length=6,key=8f95f09245765f80256934e50c66207f", 258, 0x08 },
	{ "rotation=1,server_id_length=2,nonce_length=6,key=fdf726a9893ec05c0632d3956680baf0", 7, 0x28 },
	{ "rotation=2,server_id_length=4,nonce_length=4", UINT32_MAX, 0x48 },
};

/* A successor needs to know nothing of the config before but the length of its CIDs. */
START_TEST(sessions_and_ids_go_on_when_configs_of_cids_change)
{
	struct client *clients[COUNT_OF(rotations)];
	struct lbcid_key *keys[COUNT_OF(rotations)];
	char text[SERVICE_TEXT_OCTETS + 1];
	uint8_t cid[SESSION_CID_MAX];

	for (int i = 0; i < COUNT_OF(rotations); i++) {
		ck_assert_int_eq(cid_option_read(&options_used.cid, &keys[i], rotations[i].option), 0);
		options_used.id = rotations[i].id;
		if (i)
			hand_over();
		else
			replace();
		clients[i] = client_established(new_place(), true);
		ck_assert_uint_eq(session_peer_cid(clients[i]->session, cid), 9);
		ck_assert_uint_eq(cid[0], rotations[i].first);
		for (int j = 0; j <= i; j++) {
			ck_assert(is_served(clients[j], 1));
			move(clients[j]);
			ck_assert(is_served(clients[j], 2));
		}
	}
	text[service_describe(&server->service, text)] = '\0';
	ck_assert_msg(strncmp(text, "up id:4294967295 id:7 id:258\n", 29) == 0, "%s", text);
	for (int i = 0; i < COUNT_OF(rotations); i++) {
		client_free(clients[i]);
		lbcid_key_free(keys[i]);
	}
}
END_TEST

START_TEST(records_seen_before_are_refused_after)
{
	struct client *client = client_established(new_place(), true);
	int elsewhere = new_place();

	ck_assert(is_served(client, 1));
	hand_over();
	ck_assert_int_eq(udp_send(elsewhere, NULL, client->kept, client->kept_len), 0);
	run(client);
	ck_assert_uint_eq(server->report.forged_records, 1);
	ck_assert_uint_eq(server->report.address_changes, 0);
	/* The same from where it is: the session itself refuses it. */
	unsigned before = client->answers;
	ck_assert_int_eq(udp_send(client->fd, NULL, client->kept, client->kept_len), 0);
	run(client);
	ck_assert_uint_eq(client->answers, before);
	ck_assert(is_served(client, 2));
	close(elsewhere);
	client_free(client);
}
END_TEST

/* RFC 9146, section 6: the newest record of all is the newest of those before the hand-over too. */
START_TEST(late_record_does_not_move_the_session)
{
	struct client *client = client_established(new_place(), true);
	int elsewhere = new_place();
	uint8_t late[DATAGRAM];

	client->held = true;
	request(client, 1);
	size_t late_len = client->kept_len;
	memcpy(late, client->kept, late_len);
	client->held = false;
	ck_assert(is_served(client, 2));
	hand_over();
	ck_assert_int_eq(udp_send(elsewhere, NULL, late, late_len), 0);
	ck_assert(answered(client, 1));
	ck_assert_uint_eq(server->report.address_changes, 0);
	close(elsewhere);
	client_free(client);
}
END_TEST

/* The answer was lost, and the request comes again to the next server: RFC 7252, section 4.5. */
START_TEST(repeated_request_is_answered_but_not_served_again)
{
	struct client *client = client_established(new_place(), true);

	ck_assert(is_served(client, 1));
	hand_over();
	ck_assert(is_served(client, 1));
	ck_assert_uint_eq(server->report.requests, 0);
	client_free(client);
}
END_TEST

/* It is of the session that it began, as before: there is no answer that would start another. */
START_TEST(repeated_hello_begins_nothing)
{
	struct client *client = client_new(new_place(), true);
	uint8_t hello[DATAGRAM];

	event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert(take_datagrams(client)); /* HelloVerifyRequest */
	size_t len = client->kept_len;
	memcpy(hello, client->kept, len);
	run(client);
	ck_assert(is_served(client, 1));
	hand_over();
	ck_assert_int_eq(udp_send(client->fd, NULL, hello, len), 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_uint_eq(server->report.hellos, 1);
	ck_assert(!take_datagrams(client));
	ck_assert(is_served(client, 2));
	client_free(client);
}
END_TEST

START_TEST(sessions_without_cid_are_found_by_address)
{
	struct client *plain = client_established(new_place(), false);
	struct client *mover = client_established(new_place(), true);

	/* It comes last, and is at the address of the one that is found there. */
	close(mover->fd);
	mover->fd = dup(plain->fd);
	ck_assert(is_served(plain, 1));
	ck_assert(is_served(mover, 2));
	hand_over();
	ck_assert_uint_eq(server->report.sessions_loaded, 2);
	ck_assert(is_served(plain, 3));
	ck_assert(is_served(mover, 4));
	/* And the other way round. */
	ck_assert(is_served(plain, 5));
	hand_over();
	ck_assert(is_served(mover, 6));
	ck_assert(is_served(plain, 7));
	client_free(plain);
	client_free(mover);
}
END_TEST

/* Mbed TLS saves no session whose peer may still ask for the last flight of the handshake. */
START_TEST(sessions_that_cannot_be_saved_are_counted)
{
	struct client *served = client_established(new_place(), true);
	struct client *silent = client_established(new_place(), true);
	struct client *half = client_new(new_place(), true);

	for (int i = 0; i < 2; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		ssize_t len = udp_receive(half->fd, half->received, DATAGRAM, NULL);
		ck_assert_int_gt(len, 0);
		if (i == 0)
			session_input(half->session, half->received, (size_t)len, clock_ms());
	}
	ck_assert_uint_eq(server->peer_count, 3);
	ck_assert(is_served(served, 1));
	ck_assert_int_eq(save(), 0);
	ck_assert_uint_eq(server->report.sessions_saved, 1);
	ck_assert_uint_eq(server->report.sessions_unsaved, 1);
	ck_assert_ptr_nonnull(strstr(said, ": 1 saved, 1 that cannot be\n"));
	/* What is saved has ended here; what is not goes on. */
	ck_assert(!is_served(served, 2));
	ck_assert(is_served(silent, 1));
	client_free(served);
	client_free(silent);
	client_free(half);
}
END_TEST

START_TEST(nobody_to_save)
{
	hand_over();
	ck_assert_uint_eq(server->report.sessions_loaded, 0);
	struct client *client = client_established(new_place(), true);
	ck_assert(is_served(client, 1));
	client_free(client);
}
END_TEST

START_TEST(file_is_for_its_owner_alone)
{
	struct client *client = client_established(new_place(), true);
	struct stat stat;

	ck_assert(is_served(client, 1));
	ck_assert_int_eq(save(), 0);
	ck_assert_int_eq(lstat(file, &stat), 0);
	ck_assert_uint_eq(stat.st_mode, S_IFREG | 0600);
	client_free(client);
}
END_TEST

START_TEST(second_load_finds_nothing)
{
	struct client *client = client_established(new_place(), true);

	ck_assert(is_served(client, 1));
	hand_over();
	struct server *first = server;
	struct addr listen = options_used.listen;
	options_used.listen.port = (uint16_t)(listen.port + 1000);
	ck_assert_int_eq(server_new(&server, base, &options_used), 0);
	ck_assert_int_eq(load(), -ENOENT);
	ck_assert_ptr_nonnull(strstr(said, "not there; starting without sessions"));
	ck_assert_uint_eq(server->peer_count, 0);
	server_free(server);
	server = first;
	ck_assert(is_served(client, 2));
	client_free(client);
}
END_TEST

START_TEST(sessions_that_no_file_can_be_made_for_go_on)
{
	char name[96];

	struct client *client = client_established(new_place(), true);
	ck_assert(is_served(client, 1));
	snprintf(name, sizeof name, "%s/none/sessions", folder);
	ck_assert_int_eq(call(handover_save, name), -ENOENT);
	ck_assert_ptr_nonnull(strstr(said, "not saved"));
	ck_assert(is_served(client, 2));
	client_free(client);
}
END_TEST

START_TEST(saving_ends_a_session_and_only_then)
{
	static const struct session_callbacks callbacks = { on_send, on_deliver };
	struct client *client = client_established(new_place(), true);
	struct session *loaded;
	uint8_t saved[1024];
	size_t len, need;

	ck_assert(is_served(client, 1));
	for (size_t size = 0; size < 64; size++)
		ck_assert_int_eq(session_save(client->session, saved, size, &need), -ENOSPC);
	ck_assert_uint_le(need, sizeof saved);
	ck_assert(is_served(client, 2));
	ck_assert_int_eq(session_save(client->session, saved, need, &len), 0);
	ck_assert_uint_eq(len, need);
	ck_assert_int_eq(session_state(client->session), SESSION_CLOSED);
	ck_assert_int_eq(session_write(client->session, saved, 1), -ENOTCONN);
	ck_assert_int_eq(session_save(client->session, saved, need, &len), -ENOTCONN);
	for (size_t cut = 0; cut <= len; cut++) {
		ck_assert_int_eq(session_new(&loaded, client->config, NULL, &callbacks, client), 0);
		ck_assert_int_eq(session_load(loaded, saved, cut), cut < len ? -EBADMSG : 0);
		if (cut < len)
			session_free(loaded);
	}
	session_free(client->session);
	client->session = loaded;
	ck_assert(session_uses_cid(loaded));
	ck_assert(is_served(client, 3));
	client_free(client);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, sessions_go_on);
	tcase_add_test(tests, ids_accumulate);
	tcase_add_test(tests, sessions_and_ids_go_on_when_configs_of_cids_change);
	tcase_add_test(tests, records_seen_before_are_refused_after);
	tcase_add_test(tests, late_record_does_not_move_the_session);
	tcase_add_test(tests, repeated_request_is_answered_but_not_served_again);
	tcase_add_test(tests, repeated_hello_begins_nothing);
	tcase_add_test(tests, sessions_without_cid_are_found_by_address);
	tcase_add_test(tests, sessions_that_cannot_be_saved_are_counted);
	tcase_add_test(tests, nobody_to_save);
	tcase_add_test(tests, file_is_for_its_owner_alone);
	tcase_add_test(tests, second_load_finds_nothing);
	tcase_add_test(tests, sessions_that_no_file_can_be_made_for_go_on);
	tcase_add_test(tests, saving_ends_a_session_and_only_then);
}
