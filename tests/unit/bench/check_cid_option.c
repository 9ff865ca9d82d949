/* CIDs of scheme quic-lb from the command line: what is taken, and what is said of the rest. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/programs/backend/cid_option.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

#define KEY_HEX "8f95f09245765f80256934e50c66207f"

static struct lbcid_config config;
static struct lbcid_key *key;
static char said[512];
static char folder[] = "/tmp/cidlb-option-XXXXXX", file[64];

/* What goes to stderr goes to `said`. */
static int read_option(const char *text)
{
	FILE *caught = tmpfile();
	int before = dup(STDERR_FILENO);

	ck_assert_ptr_nonnull(caught);
	ck_assert_int_ge(dup2(fileno(caught), STDERR_FILENO), 0);
	int err = cid_option_read(&config, &key, text);
	ck_assert_int_ge(dup2(before, STDERR_FILENO), 0);
	close(before);
	rewind(caught);
	said[fread(said, 1, sizeof said - 1, caught)] = '\0';
	fclose(caught);
	return err;
}

static int give(void *ctx, uint8_t *out, size_t len)
{
	const struct octets *nonce = ctx;

	ck_assert_uint_eq(len, nonce->len);
	memcpy(out, nonce->at, len);
	return 0;
}

static void assert_mints(const char *id_hex, const char *nonce_hex, const char *cid_hex)
{
	struct octets id = octets_of(id_hex), nonce = octets_of(nonce_hex), cid = octets_of(cid_hex);
	uint8_t minted[LBCID_MAX_OCTETS];

	ck_assert_uint_eq(config.length, cid.len);
	ck_assert_uint_eq(config.size, id.len);
	ck_assert_int_eq(lbcid_mint(&config, id.at, give, &nonce, minted), 0);
	ck_assert_mem_eq(minted, cid.at, cid.len);
	lbcid_key_free(key);
	free(id.at);
	free(nonce.at);
	free(cid.at);
}

/* The vectors of draft-ietf-quic-load-balancers, and the longest ids and nonces. */
static const struct {
	const char *text, *id, *nonce, *cid;
} good[] = {
	{ "rotation=0,server_id_length=3,nonce_length=4,key=" KEY_HEX, "ed793a", "ee080dbf", "0720b1d07b359d3c" },
	{ "key=" KEY_HEX ",nonce_length=5,server_id_length=10,rotation=1", "ed793a51d49b8f5fab65", "ee080dbf48",
	  "2fcc381bc74cb4fbad2823a3d1f8fed2" },
	{ "rotation=2,server_id_length=8,key=8F95F09245765F80256934E50C66207F,nonce_length=8", "ed793a51d49b8f5f",
	  "ee080dbf48c0d1e5", "504dd2d05a7b0de9b2b9907afb5ecf8cc3" },
	{ "rotation=0,server_id_length=3,nonce_length=4", "c4605e", "4504cc4f", "07c4605e4504cc4f" },
	{ "rotation=6,server_id_length=1,nonce_length=18", "c4", "000102030405060708090a0b0c0d0e0f1011",
	  "d3c4000102030405060708090a0b0c0d0e0f1011" },
	{ "rotation=6,server_id_length=15,nonce_length=4", "000102030405060708090a0b0c0d0e", "0f101112",
	  "d3000102030405060708090a0b0c0d0e0f101112" },
};

START_TEST(what_is_read_mints)
{
	ck_assert_int_eq(read_option(good[_i].text), 0);
	ck_assert_str_eq(said, "");
	assert_mints(good[_i].id, good[_i].nonce, good[_i].cid);
}
END_TEST

#define ACCEPTED "accepted: rotation=0..6,server_id_length=1..15,nonce_length=4..18[,key=@FILE|HEX]\n"
#define KEYS     "--quic-lb key: accepted: 32 hex digits, or @FILE with them; make them with: openssl rand -hex 16\n"

static const struct {
	const char *text, *says;
} bad[] = {
	{ "", "--quic-lb: \"\" is unknown; " ACCEPTED },
	{ "rotation=0,", "--quic-lb: \"\" is unknown; " ACCEPTED },
	{ "rotation", "--quic-lb: \"rotation\" is unknown; " ACCEPTED },
	{ "rotations=0", "--quic-lb: \"rotations\" is unknown; " ACCEPTED },
	{ "rotatio=0", "--quic-lb: \"rotatio\" is unknown; " ACCEPTED },
	{ "rotation=0,rotation=0", "--quic-lb: \"rotation\" is there twice; " ACCEPTED },
	{ "key=" KEY_HEX ",key=" KEY_HEX, "--quic-lb: \"key\" is there twice; " ACCEPTED },
	{ "rotation=7,server_id_length=2,nonce_length=6", "--quic-lb rotation: 7; accepted: 0..6\n" },
	{ "rotation=-1", "--quic-lb rotation: -1; accepted: 0..6\n" },
	{ "rotation=", "--quic-lb rotation: ; accepted: 0..6\n" },
	{ "server_id_length=0", "--quic-lb server_id_length: 0; accepted: 1..15\n" },
	{ "server_id_length=16", "--quic-lb server_id_length: 16; accepted: 1..15\n" },
	{ "nonce_length=3", "--quic-lb nonce_length: 3; accepted: 4..18\n" },
	{ "nonce_length=19", "--quic-lb nonce_length: 19; accepted: 4..18\n" },
	{ "server_id_length=2,nonce_length=6", "--quic-lb: rotation is missing; accepted: 0..6\n" },
	{ "rotation=0,nonce_length=6", "--quic-lb: server_id_length is missing; accepted: 1..15\n" },
	{ "rotation=0,server_id_length=2,key=" KEY_HEX, "--quic-lb: nonce_length is missing; accepted: 4..18\n" },
	{ "rotation=0,server_id_length=2,nonce_length=18,key=" KEY_HEX,
	  "--quic-lb: server_id_length 2 + nonce_length 18 is more than 19\n" },
	{ "rotation=0,server_id_length=15,nonce_length=5",
	  "--quic-lb: server_id_length 15 + nonce_length 5 is more than 19\n" },
	{ "key=", KEYS },
	{ "key=8f95f09245765f80256934e50c6620", KEYS },
	{ "key=" KEY_HEX "00", KEYS },
	{ "key=" KEY_HEX " ", KEYS },
	{ "key=8f95f09245765f80256934e50c66207g", KEYS },
	{ "key=@", "--quic-lb key: : No such file or directory\n" },
	{ "key=@/nowhere/key", "--quic-lb key: /nowhere/key: No such file or directory\n" },
	{ "key=@/dev/null", "--quic-lb key: /dev/null: not a file\n" },
	{ "key=@/tmp", "--quic-lb key: /tmp: not a file\n" },
};

START_TEST(what_is_refused_is_said)
{
	ck_assert_int_eq(read_option(bad[_i].text), -EINVAL);
	ck_assert_str_eq(said, bad[_i].says);
	ck_assert_ptr_null(key);
}
END_TEST

static void set_up(void)
{
	strcpy(folder + sizeof folder - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(file, sizeof file, "%s/key", folder);
}

static void tear_down(void)
{
	ck_assert_int_eq(unlink(file), 0);
	ck_assert_int_eq(rmdir(folder), 0);
}

#define OTHERS ": others can access it; chmod o-rwx it\n"

static const struct {
	const char *content;
	mode_t mode;
	const char *says; /* OTHERS: after the name of the file. NULL: taken */
} files[] = {
	{ KEY_HEX, 0600, NULL },
	{ KEY_HEX "\n", 0440, NULL },
	{ KEY_HEX " \t\r\n\n\n", 0600, NULL },
	{ KEY_HEX "\n", 0604, OTHERS },
	{ KEY_HEX "\n", 0602, OTHERS },
	{ KEY_HEX "\n", 0601, OTHERS },
	{ "", 0600, KEYS },
	{ "\n" KEY_HEX, 0600, KEYS },
	{ "8f95f09245765f80256934e50c66207\n", 0600, KEYS },
	{ KEY_HEX "0", 0600, KEYS },
	{ KEY_HEX KEY_HEX, 0600, KEYS },
};

START_TEST(key_in_a_file)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char text[128], expected[256];

	ck_assert_int_eq(write(fd, files[_i].content, strlen(files[_i].content)), (ssize_t)strlen(files[_i].content));
	ck_assert_int_eq(fchmod(fd, files[_i].mode), 0);
	close(fd);
	snprintf(text, sizeof text, "rotation=0,server_id_length=3,nonce_length=4,key=@%s", file);
	int err = read_option(text);
	if (!files[_i].says) {
		ck_assert_int_eq(err, 0);
		assert_mints("ed793a", "ee080dbf", "0720b1d07b359d3c");
		return;
	}
	snprintf(expected, sizeof expected, *files[_i].says == ':' ? "--quic-lb key: %s%s" : "%.0s%s", file,
		 files[_i].says);
	ck_assert_int_eq(err, -EINVAL);
	ck_assert_str_eq(said, expected);
	ck_assert_ptr_null(key);
}
END_TEST

/* One without a writer does not hold it up. */
START_TEST(key_in_a_pipe)
{
	char text[128];

	ck_assert_int_eq(mkfifo(file, 0600), 0);
	snprintf(text, sizeof text, "key=@%s", file);
	ck_assert_int_eq(read_option(text), -EINVAL);
	ck_assert_ptr_nonnull(strstr(said, ": not a file\n"));
}
END_TEST

void suite(TCase *tests)
{
	TCase *with_files = suite_case("files");

	tcase_add_loop_test(tests, what_is_read_mints, 0, COUNT_OF(good));
	tcase_add_loop_test(tests, what_is_refused_is_said, 0, COUNT_OF(bad));
	tcase_add_checked_fixture(with_files, set_up, tear_down);
	tcase_add_loop_test(with_files, key_in_a_file, 0, COUNT_OF(files));
	tcase_add_test(with_files, key_in_a_pipe);
}
