/* Files of sessions that must not be loaded: damaged, copied, of others, for others. Each is named, set aside, and
 * costs nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mbedtls/sha256.h>

#include "tests/fixtures/handover_fixture.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

enum { HEADER = 38, RECORD = HEADER + 33, DIGEST = 32, FILE_MAX = 4096, NOBODY = 65534 };

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

/* The file that was made says something else now, with the right checksum; it is put back where it was refused
 * before. */
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
	{ RECORD + 2 + 10, 2 },    /* found by its address: 0 or 1 */
	{ RECORD + 2 + 69, 0x01 }, /* the length of what Mbed TLS wrote */
	{ RECORD + 2 + 79, 0xff }, /* the version of Mbed TLS: after 8 octets of the newest record's number */
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
	/* An octet too many at the end of a session. */
	memcpy(changed, data, len + 1);
	ck_assert_uint_lt(changed[RECORD + 1], 255);
	changed[RECORD + 1]++;
	tamper(changed, len + 1);
	assert_refused(-EBADMSG, "its content makes no sense");
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
		options_used.cid.length++;
	replace();
	assert_refused(-EINVAL, _i ? "another --psk identity" : "CIDs of another length");
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

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 60);
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
}
