/* Keys in the file, and in files of their own. */
#include <pwd.h>

#include "tests/fixtures/conf_texts.h"
#include "tests/unit/suite.h"

static const struct {
	const char *text; /* of the key file */
	mode_t mode;
	const char *why; /* NULL: accepted */
} key_files[] = {
	{ KEY, 0600, NULL },
	{ KEY "\n", 0400, NULL },
	{ "000102030405060708090A0B0C0D0E0F \t\r\n", 0640, NULL },
	{ KEY, 0604, "others can access it; chmod o-rwx it" },
	{ KEY, 0602, "others can access it; chmod o-rwx it" },
	{ KEY, 0601, "others can access it; chmod o-rwx it" },
	{ "", 0600, "not 32 hex digits; make one with: openssl rand -hex 16" },
	{ KEY "0", 0600, "not 32 hex digits; make one with: openssl rand -hex 16" },
	{ "000102030405060708090a0b0c0d0e0", 0600, "not 32 hex digits; make one with: openssl rand -hex 16" },
	{ KEY "\n" KEY, 0600, "not 32 hex digits; make one with: openssl rand -hex 16" },
	{ "000102030405060708090a0b0c0d0e0g", 0600, "not 32 hex digits; make one with: openssl rand -hex 16" },
};

START_TEST(key_file)
{
	char error[256] = "";

	write_file("k.key", key_files[_i].mode, key_files[_i].text);
	if (key_files[_i].why)
		snprintf(error, sizeof error, "t.conf:1: hash_key: \"k.key\": %s", key_files[_i].why);
	expect_errors("user = \"root\"; hash_key = \"@k.key\";" LISTENERS POOLS, error);
}
END_TEST

START_TEST(key_file_is_relative_to_the_configuration)
{
	char path[sizeof conf_dir + sizeof "/" FILE_NAME];
	struct conf_report report;
	struct conf *conf;

	write_file("k.key", 0600, KEY);
	write_file(FILE_NAME, 0644, "user = \"root\"; hash_key = \"@k.key\";" LISTENERS POOLS);
	snprintf(path, sizeof path, "%s/" FILE_NAME, conf_dir);
	ck_assert_int_eq(chdir("/"), 0);
	conf = conf_load(path, &report);
	ck_assert_int_eq(chdir(conf_dir), 0);
	ck_assert_str_eq(join_lines(report.errors, report.error_count), "");
	ck_assert_mem_eq(conf->hash_key, key_octets, sizeof key_octets);
	conf_free(conf);
	conf_report_free(&report);
}
END_TEST

START_TEST(key_file_is_a_file)
{
	expect_errors("user = \"root\"; hash_key = \"@absent\";" LISTENERS POOLS,
		      "t.conf:1: hash_key: \"absent\": No such file or directory");
	expect_errors("user = \"root\"; hash_key = \"@.\";" LISTENERS POOLS, "t.conf:1: hash_key: \".\": not a file");
	expect_errors("user = \"root\"; hash_key = \"@/dev/null\";" LISTENERS POOLS,
		      "t.conf:1: hash_key: \"/dev/null\": not a file");
	unlink("k.key");
	ck_assert_int_eq(mkfifo("k.key", 0600), 0);
	expect_errors("user = \"root\"; hash_key = \"@k.key\";" LISTENERS POOLS,
		      "t.conf:1: hash_key: \"k.key\": not a file");
	unlink("k.key");
}
END_TEST

START_TEST(coaps_credentials)
{
	static const char from_file[] = PROBED(
		"probe = \"coaps\"; psk_identity = \"who\"; psk_key = \"@k.key\"; port = 5684; path = \"/a/b\";");
	const struct conf_health *health;

	write_file("k.key", 0600, "ed793A\n");
	struct conf *conf = load_good(from_file);
	health = &conf->pools[0].health;
	ck_assert_int_eq(health->probe, PROBE_COAPS);
	ck_assert_uint_eq(health->port, 5684);
	ck_assert_str_eq(health->path, "/a/b");
	ck_assert_str_eq(health->psk_identity, "who");
	ck_assert_uint_eq(health->psk_key_len, 3);
	ck_assert_mem_eq(health->psk_key, "\xed\x79\x3a", 3);
	conf_free(conf);

	write_file("k.key", 0604, "ed793a");
	expect_errors(from_file, "t.conf:2: pools[0].health.psk_key: \"k.key\": others can access it; chmod o-rwx it");
	write_file("k.key", 0600, "ed793");
	expect_errors(from_file, "t.conf:2: pools[0].health.psk_key: \"k.key\": not hex digits of 1..32 octets");
	unlink("k.key");
}
END_TEST

START_TEST(coaps_key_in_a_file_of_others)
{
	static const char exposed[] =
		"t.conf:2: pools[0].health.psk_key: others can access this file; chmod o-rwx it, or put the key "
		"into a file of its own: \"@FILE\"";
	static const char *const probes[] = { PROBED("probe = \"coaps\"; psk_identity = \"i\"; psk_key = \"00\";"),
					      PROBED("probe = \"coap\"; psk_key = \"00\";") };
	struct conf_report report;

	for (int i = 0; i < COUNT_OF(probes); i++) {
		write_file(FILE_NAME, 0644, probes[i]);
		ck_assert_ptr_null(conf_load(FILE_NAME, &report));
		ck_assert_ptr_nonnull(strstr(join_lines(report.errors, report.error_count), exposed));
		conf_report_free(&report);
	}
}
END_TEST

START_TEST(inline_key)
{
	static const char exposed[] = "t.conf:1: hash_key: others can access this file; chmod o-rwx it, or put the key "
				      "into a file of its own: \"@FILE\"";
	static const mode_t modes[] = { 0600, 0640, 0644, 0602 };
	struct conf_report report;

	for (int i = 0; i < COUNT_OF(modes); i++) {
		write_file(FILE_NAME, modes[i], "hash_key = \"" KEY "\";" LISTENERS POOLS);
		conf_free(conf_load(FILE_NAME, &report));
		ck_assert_str_eq(join_lines(report.errors, report.error_count), i < 2 ? "" : exposed);
		conf_report_free(&report);
	}
	unlink(FILE_NAME);
}
END_TEST

/* Root hands the key to the user that it will become. */
START_TEST(key_file_of_another_user)
{
	static const char cannot[] = "t.conf:1: hash_key: \"k.key\": the user that cidlb runs as cannot read it";
	static const char nobody[] = "user = \"nobody\"; hash_key = \"@k.key\";" LISTENERS POOLS;
	const struct passwd *user = getpwnam("nobody");

	if (geteuid() != 0 || !user)
		return;
	write_file("k.key", 0600, KEY);
	expect_errors("user = \"root\"; hash_key = \"@k.key\";" LISTENERS POOLS, "");
	expect_errors(nobody, cannot);
	ck_assert_int_eq(chown("k.key", 0, user->pw_gid), 0);
	expect_errors(nobody, cannot);
	ck_assert_int_eq(chmod("k.key", 0640), 0);
	expect_errors(nobody, "");
	ck_assert_int_eq(chown("k.key", user->pw_uid, 0), 0);
	expect_errors(nobody, "");
	ck_assert_int_eq(chmod("k.key", 0040), 0);
	expect_errors(nobody, cannot);
	ck_assert_int_eq(chmod("k.key", 0400), 0);
	expect_errors(nobody, "");
	ck_assert_int_eq(chmod(".", 0700), 0);
	expect_errors(nobody, cannot);
	ck_assert_int_eq(chmod(".", 0711), 0);
	expect_errors("user = \"no-such-user\"; hash_key = \"@k.key\";" LISTENERS POOLS,
		      "t.conf:1: user: no such user: \"no-such-user\"");
	expect_warnings(nobody,
			"t.conf:1: user: the user that cidlb runs as cannot read this file: a reload will fail");
	unlink("k.key");
}
END_TEST

START_TEST(quic_lb_keys_are_secrets)
{
	static const char both[] = "t.conf:1: hash_key: others can access this file; chmod o-rwx it, or put the key "
				   "into a file of its own: "
				   "\"@FILE\"\n"
				   "t.conf:3: pools[0].cid.configs[0].key: others can access this file; chmod o-rwx "
				   "it, or put the key into a "
				   "file of its own: \"@FILE\"";
	static const char of_others[] =
		"t.conf:3: pools[0].cid.configs[0].key: \"k.key\": others can access it; chmod o-rwx it";
	struct conf_report report;

	write_file(FILE_NAME, 0644, "hash_key = \"" KEY "\"; user = \"root\";" LISTENERS QUIC_LB_POOL(KEY));
	conf_free(conf_load(FILE_NAME, &report));
	ck_assert_str_eq(join_lines(report.errors, report.error_count), both);
	conf_report_free(&report);
	write_file("k.key", 0644, KEY);
	expect_errors("hash_key = \"" KEY "\"; user = \"root\";" LISTENERS QUIC_LB_POOL("@k.key"), of_others);
	write_file("k.key", 0600, KEY);
	expect_errors("hash_key = \"" KEY "\"; user = \"root\";" LISTENERS QUIC_LB_POOL("@k.key"), "");
	unlink("k.key");
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_unchecked_fixture(tests, conf_dir_enter, conf_dir_leave);
	tcase_add_loop_test(tests, key_file, 0, COUNT_OF(key_files));
	tcase_add_test(tests, key_file_is_relative_to_the_configuration);
	tcase_add_test(tests, key_file_is_a_file);
	tcase_add_test(tests, coaps_credentials);
	tcase_add_test(tests, coaps_key_in_a_file_of_others);
	tcase_add_test(tests, inline_key);
	tcase_add_test(tests, key_file_of_another_user);
	tcase_add_test(tests, quic_lb_keys_are_secrets);
}
