/* Sessions from one server to the next, through a file: real sessions, sockets and files, in this process. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mbedtls/sha256.h>

#include "backend_fixture.h"
#include "handover.h"
#include "octets.h"

enum { HEADER = 38, RECORD = HEADER + 33, DIGEST = 32, FILE_MAX = 4096, NOBODY = 65534 };

static char folder[] = "/tmp/cidlb-handover-XXXXXX", file[64], refused[80], other[64];
static char *said; /* by the last call */
static mode_t umask_before;

static void set_up(void)
{
	strcpy(folder + sizeof folder - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(file, sizeof file, "%s/sessions", folder);
	snprintf(refused, sizeof refused, "%s.refused", file);
	snprintf(other, sizeof other, "%s/other", folder);
	umask_before = umask(0);
	server_start(CID_OCTETS);
}

static void tear_down(void)
{
	char command[96];

	server_stop();
	umask(umask_before);
	free(said);
	said = NULL;
	snprintf(command, sizeof command, "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

static int call(int (*what)(struct server *, const struct server_options *, const char *, FILE *), const char *name)
{
	size_t len;

	free(said);
	FILE *log = open_memstream(&said, &len);
	ck_assert_ptr_nonnull(log);
	int rc = what(server, &options_used, name, log);
	fclose(log);
	/* One line, whatever happened. */
	ck_assert_ptr_nonnull(strchr(said, '\n'));
	ck_assert_uint_eq((size_t)(strchr(said, '\n') - said), strlen(said) - 1);
	return rc;
}

static int save(void)
{
	return call(handover_save, file);
}

static int load(void)
{
	return call(handover_load, file);
}

/* Another server, at the same address. */
static void replace(void)
{
	server_free(server);
	ck_assert_int_eq(server_new(&server, base, &options_used), 0);
}

static void hand_over(void)
{
	ck_assert_int_eq(save(), 0);
	replace();
	ck_assert_int_eq(load(), 0);
	ck_assert_int_ne(access(file, F_OK), 0);
}

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

static size_t read_file(const char *name, uint8_t out[static FILE_MAX])
{
	int fd = open(name, O_RDONLY);
	ssize_t len = read(fd, out, FILE_MAX);

	ck_assert(len >= 0 && len < FILE_MAX);
	close(fd);
	return (size_t)len;
}

/* In place: the inode stays. */
static void write_file(const char *name, const uint8_t *data, size_t len)
{
	int fd = open(name, O_WRONLY | O_TRUNC | O_CREAT, 0600);

	ck_assert_int_eq(write(fd, data, len), (ssize_t)len);
	close(fd);
}

/* With a file of one session. */
static struct client *begin(void)
{
	struct client *client = client_established(new_place(), true);

	ck_assert(is_served(client, 1));
	ck_assert_int_eq(save(), 0);
	replace();
	return client;
}

static void assert_refused(int error, const char *reason)
{
	ck_assert_int_eq(load(), error);
	ck_assert_ptr_nonnull(strstr(said, file));
	ck_assert_msg(strstr(said, reason) && strstr(said, "starting without sessions"), "%s", said);
	ck_assert_int_ne(access(file, F_OK), 0);
	ck_assert_uint_eq(server->peer_count, 0);
	ck_assert_uint_eq(server->report.sessions_loaded, 0);
}

/* It starts without sessions, and serves; `client` has none. */
static void end(struct client *client)
{
	ck_assert(!is_served(client, 9));
	struct client *next = client_established(new_place(), true);
	ck_assert(is_served(next, 1));
	client_free(next);
	client_free(client);
}

static const struct {
	const char *what;
	int at; /* negative: from the end */
	const char *reason;
} flips[] = {
	{ "magic", 0, "no file of sessions" },
	{ "end of the magic", 7, "no file of sessions" },
	{ "version", 9, "or of another version" },
	{ "device", 13, "checksum" },
	{ "inode", 25, "checksum" },
	{ "time of birth", 37, "checksum" },
	{ "CID length", HEADER, "checksum" },
	{ "identity", HEADER + 32, "checksum" },
	{ "length of the session", RECORD + 1, "checksum" },
	{ "CID", RECORD + 2, "checksum" },
	{ "session", RECORD + 200, "checksum" },
	{ "end of the content", -DIGEST - 1, "checksum" },
	{ "begin of the checksum", -DIGEST, "checksum" },
	{ "end of the checksum", -1, "checksum" },
};

START_TEST(any_wrong_octet_is_refused)
{
	struct client *client = begin();
	uint8_t data[FILE_MAX];
	size_t len = read_file(file, data);

	data[flips[_i].at < 0 ? len - (size_t)-flips[_i].at : (size_t)flips[_i].at] ^= 0x10;
	write_file(file, data, len);
	assert_refused(-EBADMSG, flips[_i].reason);
	ck_assert_int_eq(access(refused, F_OK), 0);
	end(client);
}
END_TEST

START_TEST(any_missing_octet_is_refused)
{
	static const size_t missing_or_left[] = { 1, DIGEST, DIGEST + 1, 100 };
	struct client *client = begin();
	uint8_t data[FILE_MAX];
	size_t len = read_file(file, data);

	ck_assert_int_eq(truncate(file, (off_t)(_i % 2 ? missing_or_left[_i / 2] : len - missing_or_left[_i / 2])), 0);
	assert_refused(-EBADMSG, _i % 2 && missing_or_left[_i / 2] < HEADER + DIGEST ? "cut short" : "checksum");
	end(client);
}
END_TEST

START_TEST(empty_and_longer_files_are_refused)
{
	struct client *client = begin();
	uint8_t data[FILE_MAX];
	size_t len = read_file(file, data);

	if (_i)
		data[len] = 0;
	write_file(file, data, _i ? len + 1 : 0);
	assert_refused(-EBADMSG, _i ? "checksum" : "cut short");
	end(client);
}
END_TEST

/* The file that was made says something else now, with the right checksum; it is put back where it was refused before. */
static void tamper(const uint8_t *data, size_t len)
{
	uint8_t all[FILE_MAX];

	memcpy(all, data, len);
	ck_assert_int_eq(mbedtls_sha256(data, len, all + len, 0), 0);
	if (access(refused, F_OK) == 0)
		ck_assert_int_eq(rename(refused, file), 0);
	write_file(file, all, len + DIGEST);
}

static const struct {
	size_t at;
	uint8_t flip;
} changes[] = {
	{ RECORD, 0x40 },          /* the length of a session leads past the end */
	{ RECORD + 1, 1 },         /* or an octet too far, or too short */
	{ RECORD + 2 + 6, 2 },     /* found by its address: 0 or 1 */
	{ RECORD + 2 + 65, 0x01 }, /* the length of what Mbed TLS wrote */
	{ RECORD + 2 + 75, 0xff }, /* the version of Mbed TLS: after 8 octets of the newest record's number */
};

START_TEST(content_that_makes_no_sense_is_refused)
{
	struct client *client = begin();
	uint8_t data[FILE_MAX + 1] = { 0 }, changed[FILE_MAX];
	size_t len = read_file(file, data) - DIGEST;

	data[len] = 0;
	for (size_t cut = HEADER; cut <= len + 1; cut++) {
		if (cut == RECORD || cut == len) /* no session; the whole one */
			continue;
		tamper(data, cut);
		assert_refused(-EBADMSG, "its content makes no sense");
	}
	for (int i = 0; i < COUNT_OF(changes); i++) {
		memcpy(changed, data, len);
		changed[changes[i].at] ^= changes[i].flip;
		tamper(changed, len);
		assert_refused(-EBADMSG, "its content makes no sense");
	}
	/* As it was, it is taken: nobody has used it yet. */
	tamper(data, len);
	ck_assert_int_eq(load(), 0);
	ck_assert(is_served(client, 2));
	client_free(client);
}
END_TEST

START_TEST(copy_is_refused)
{
	struct client *client = begin();
	uint8_t data[FILE_MAX];
	size_t len = read_file(file, data);

	write_file(other, data, len);
	if (_i == 0) {
		/* As good as new, while the first is elsewhere. */
		ck_assert_int_eq(rename(other, file), 0);
		assert_refused(-ESTALE, "a copy");
		end(client);
		return;
	}
	/* The first is loaded, and what was copied before comes back. */
	ck_assert_int_eq(load(), 0);
	ck_assert(is_served(client, 2));
	ck_assert_int_eq(save(), 0);
	ck_assert_int_eq(unlink(file), 0);
	replace();
	if (_i == 1)
		ck_assert_int_eq(rename(other, file), 0);
	else
		write_file(file, data, len); /* maybe with the number of the first inode */
	assert_refused(-ESTALE, "a copy");
	end(client);
}
END_TEST

static const mode_t modes[] = { 0640, 0620, 0610, 0604, 0602, 0601, 0644, 0666 };

START_TEST(file_for_others_is_refused)
{
	struct client *client = begin();

	ck_assert_int_eq(chmod(file, modes[_i]), 0);
	assert_refused(-EACCES, "others may read or write it");
	/* Never used: it may be put back. */
	ck_assert_int_eq(chmod(refused, 0600), 0);
	ck_assert_int_eq(rename(refused, file), 0);
	ck_assert_int_eq(load(), 0);
	ck_assert(is_served(client, 2));
	client_free(client);
}
END_TEST

START_TEST(file_of_another_user_is_refused)
{
	struct client *client = begin();

	if (geteuid() == 0) {
		ck_assert_int_eq(chown(file, NOBODY, NOBODY), 0);
		assert_refused(-EACCES, "another user");
		end(client);
	} else {
		client_free(client);
	}
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
	struct client *client = begin();
	char second[80];

	snprintf(second, sizeof second, "%s.name", file);
	if (_i == 0)
		ck_assert_int_eq(link(file, second), 0);
	else
		ck_assert_int_eq(rename(file, second), 0);
	if (_i == 1)
		ck_assert_int_eq(symlink(second, file), 0);
	else if (_i == 2)
		ck_assert_int_eq(mkfifo(file, 0600), 0);
	else if (_i == 3)
		ck_assert_int_eq(mkdir(file, 0700), 0);
	assert_refused(-EACCES, _i ? "no regular file" : "a second name");
	end(client);
}
END_TEST

START_TEST(file_of_another_configuration_is_refused)
{
	struct client *client = begin();

	if (_i)
		strcpy(options_used.psk_identity, "Device");
	else
		options_used.cid_length++;
	replace();
	assert_refused(-EINVAL, _i ? "another --psk identity" : "another --cid-length");
	ck_assert_int_eq(access(refused, F_OK), 0);
	client_free(client);
}
END_TEST

START_TEST(nothing_is_overwritten)
{
	static const uint8_t mine[] = { 'm', 'i', 'n', 'e' };
	uint8_t data[FILE_MAX];
	char name[96];

	write_file(file, mine, sizeof mine);
	struct client *client = client_established(new_place(), true);
	ck_assert(is_served(client, 1));
	ck_assert_int_eq(save(), 0);
	snprintf(name, sizeof name, "%s.1", file);
	ck_assert_ptr_nonnull(strstr(said, "it exists"));
	ck_assert_ptr_nonnull(strstr(said, name));
	ck_assert_uint_eq(read_file(file, data), sizeof mine);
	ck_assert_mem_eq(data, mine, sizeof mine);
	replace();
	assert_refused(-EBADMSG, "cut short");
	/* Nor is one that was refused. */
	write_file(file, data, 3);
	assert_refused(-EBADMSG, "cut short");
	ck_assert_uint_eq(read_file(refused, data), sizeof mine);
	snprintf(name, sizeof name, "%s.1", refused);
	ck_assert_uint_eq(read_file(name, data), 3);
	/* The sessions are all there under the other name. */
	snprintf(name, sizeof name, "%s.1", file);
	ck_assert_int_eq(call(handover_load, name), 0);
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
	for (size_t cut = 0; cut < len; cut++)
		ck_assert_int_eq(session_load(&loaded, client->config, NULL, &callbacks, client, saved, cut), -EBADMSG);
	ck_assert_int_eq(session_load(&loaded, client->config, NULL, &callbacks, client, saved, len), 0);
	session_free(client->session);
	client->session = loaded;
	ck_assert(session_uses_cid(loaded));
	ck_assert(is_served(client, 3));
	client_free(client);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("handover");
	TCase *tests = tcase_create("handover");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, sessions_go_on);
	tcase_add_test(tests, ids_accumulate);
	tcase_add_test(tests, records_seen_before_are_refused_after);
	tcase_add_test(tests, late_record_does_not_move_the_session);
	tcase_add_test(tests, repeated_request_is_answered_but_not_served_again);
	tcase_add_test(tests, sessions_without_cid_are_found_by_address);
	tcase_add_test(tests, sessions_that_cannot_be_saved_are_counted);
	tcase_add_test(tests, nobody_to_save);
	tcase_add_test(tests, file_is_for_its_owner_alone);
	tcase_add_test(tests, second_load_finds_nothing);
	tcase_add_loop_test(tests, any_wrong_octet_is_refused, 0, COUNT_OF(flips));
	tcase_add_loop_test(tests, any_missing_octet_is_refused, 0, 8);
	tcase_add_loop_test(tests, empty_and_longer_files_are_refused, 0, 2);
	tcase_add_test(tests, content_that_makes_no_sense_is_refused);
	tcase_add_loop_test(tests, copy_is_refused, 0, 3);
	tcase_add_loop_test(tests, file_for_others_is_refused, 0, COUNT_OF(modes));
	tcase_add_test(tests, file_of_another_user_is_refused);
	tcase_add_loop_test(tests, what_is_no_file_is_refused, 0, 4);
	tcase_add_loop_test(tests, file_of_another_configuration_is_refused, 0, 2);
	tcase_add_test(tests, nothing_is_overwritten);
	tcase_add_test(tests, sessions_that_no_file_can_be_made_for_go_on);
	tcase_add_test(tests, saving_ends_a_session_and_only_then);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
