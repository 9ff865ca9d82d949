/* Keys in the file, and in files of their own. */
#include <errno.h>
#include <pwd.h>
#include <sys/xattr.h>

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
	expect_errors("user = \"nobody\"; hash_key = \"@k.key\";" LISTENERS POOLS, error);
}
END_TEST

START_TEST(key_file_is_relative_to_the_configuration)
{
	char path[sizeof conf_dir + sizeof "/" FILE_NAME];
	struct conf_report report;
	struct conf *conf;

	write_file("k.key", 0600, KEY);
	write_file(FILE_NAME, 0644, "user = \"nobody\"; hash_key = \"@k.key\";" LISTENERS POOLS);
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
	expect_errors("user = \"nobody\"; hash_key = \"@absent\";" LISTENERS POOLS,
		      "t.conf:1: hash_key: \"absent\": No such file or directory");
	expect_errors("user = \"nobody\"; hash_key = \"@.\";" LISTENERS POOLS, "t.conf:1: hash_key: \".\": not a file");
	expect_errors("user = \"nobody\"; hash_key = \"@/dev/null\";" LISTENERS POOLS,
		      "t.conf:1: hash_key: \"/dev/null\": not a file");
	unlink("k.key");
	ck_assert_int_eq(mkfifo("k.key", 0600), 0);
	expect_errors("user = \"nobody\"; hash_key = \"@k.key\";" LISTENERS POOLS,
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
		write_file(FILE_NAME, modes[i], "user = \"nobody\"; hash_key = \"" KEY "\";" LISTENERS POOLS);
		conf_free(conf_load(FILE_NAME, &report));
		ck_assert_str_eq(join_lines(report.errors, report.error_count), i < 2 ? "" : exposed);
		conf_report_free(&report);
	}
	unlink(FILE_NAME);
}
END_TEST

#define OF_NOBODY "user = \"nobody\"; hash_key = \"@k.key\";" LISTENERS POOLS

static const char cannot[] = "t.conf:1: hash_key: \"k.key\": the user that cidlb runs as cannot read it";

/* Root hands the key to the user that it will become. */
START_TEST(key_file_of_another_user)
{
	const struct passwd *user = getpwnam("nobody");

	if (geteuid() != 0 || !user)
		return;
	write_file("k.key", 0600, KEY);
	ck_assert_int_eq(chown("k.key", 0, 0), 0);
	expect_errors(OF_NOBODY, cannot);
	ck_assert_int_eq(chown("k.key", 0, user->pw_gid), 0);
	expect_errors(OF_NOBODY, cannot);
	ck_assert_int_eq(chmod("k.key", 0640), 0);
	expect_errors(OF_NOBODY, "");
	ck_assert_int_eq(chown("k.key", user->pw_uid, 0), 0);
	expect_errors(OF_NOBODY, "");
	ck_assert_int_eq(chmod("k.key", 0040), 0);
	expect_errors(OF_NOBODY, cannot);
	ck_assert_int_eq(chmod("k.key", 0400), 0);
	expect_errors(OF_NOBODY, "");
	ck_assert_int_eq(chmod(".", 0700), 0);
	expect_errors(OF_NOBODY, cannot);
	ck_assert_int_eq(chmod(".", 0711), 0);
	ck_assert_uint_eq(geteuid(), 0);
	ck_assert_uint_eq(getegid(), 0);
	unlink("k.key");
}
END_TEST

/* Whom cidlb cannot become: what a start would say. */
START_TEST(users)
{
	static const char root[] = "t.conf:1: user: \"root\": the user to become is root, or of root's group: Invalid "
				   "argument; name another, or start cidlb as a user that is not root";

	if (geteuid() != 0)
		return;
	expect_errors("user = \"root\"; hash_key = \"" KEY "\";" LISTENERS POOLS, root);
	expect_errors(
		"user = \"no-such-user\"; hash_key = \"" KEY "\";" LISTENERS POOLS,
		"t.conf:1: user: no such user: \"no-such-user\"; make it with: useradd --system \"no-such-user\", or "
		"name another");
	if (!getpwnam("cidlb")) /* nobody does not take its place */
		expect_errors("hash_key = \"" KEY "\";" LISTENERS POOLS,
			      "t.conf:1: user: no such user: \"cidlb\"; make it with: useradd --system \"cidlb\", or "
			      "name another");
	write_file(FILE_NAME, 0600, "user = \"nobody\"; hash_key = \"" KEY "\";" LISTENERS POOLS);
	ck_assert_int_eq(chown(FILE_NAME, 0, 0), 0);
	struct conf_report report;
	conf_free(conf_load(FILE_NAME, &report));
	ck_assert_str_eq(join_lines(report.warnings, report.warning_count),
			 "t.conf:1: user: the user that cidlb runs as cannot read this file: a reload will fail");
	conf_report_free(&report);
}
END_TEST

enum { OWNER = 0x01, USER = 0x02, OWN_GROUP = 0x04, GROUP = 0x08, MASK = 0x10, OTHER = 0x20, NOBODY = 65534 };

/* An access control list, as setfacl would make it: u::rw-, one entry of `tag` for `id`, g::`group`, m::`mask`, o::---.
 * False: this file system has none. */
static bool acl_set(const char *path, unsigned tag, uint32_t id, unsigned permissions, unsigned mask)
{
	struct {
		uint32_t version;
		struct {
			uint16_t tag, permissions;
			uint32_t id;
		} entry[5];
	} list = { 2, { { OWNER, 6, UINT32_MAX } } };
	size_t n = 1;

	if (tag == USER)
		list.entry[n].tag = USER, list.entry[n].permissions = (uint16_t)permissions, list.entry[n++].id = id;
	list.entry[n].tag = OWN_GROUP, list.entry[n].permissions = 4, list.entry[n++].id = UINT32_MAX;
	if (tag == GROUP)
		list.entry[n].tag = GROUP, list.entry[n].permissions = (uint16_t)permissions, list.entry[n++].id = id;
	list.entry[n].tag = MASK, list.entry[n].permissions = (uint16_t)mask, list.entry[n++].id = UINT32_MAX;
	list.entry[n].tag = OTHER, list.entry[n].permissions = 0, list.entry[n++].id = UINT32_MAX;
	if (setxattr(path, "system.posix_acl_access", &list, sizeof list, 0) == 0)
		return true;
	ck_assert_int_eq(errno, ENOTSUP);
	return false;
}

/* Access is what counts, and not what `ls` shows of it. */
static const struct {
	gid_t group; /* of the file, which is root's: u::rw-, g::r-- */
	unsigned tag, id, permissions, mask;
	const char *why;
} lists[] = {
	/* opened to it, by name and by group */
	{ 0, USER, NOBODY, 4, 4, NULL },
	{ 0, GROUP, NOBODY, 4, 4, NULL },
	{ 0, USER, NOBODY, 6, 6, NULL },
	/* closed to it, though its group may read */
	{ NOBODY, USER, NOBODY, 0, 4, "the user that cidlb runs as cannot read it" },
	{ NOBODY, USER, NOBODY, 2, 6, "the user that cidlb runs as cannot read it" },
	{ 0, USER, NOBODY, 4, 0, "the user that cidlb runs as cannot read it" },
	/* opened to others */
	{ NOBODY, USER, 1, 4, 4, "its access control list lets others access it; setfacl -b it" },
	{ NOBODY, USER, 1, 2, 6, "its access control list lets others access it; setfacl -b it" },
	{ NOBODY, GROUP, 1, 4, 4, "its access control list lets others access it; setfacl -b it" },
	/* named, but not let in */
	{ NOBODY, USER, 1, 0, 4, NULL },
	{ NOBODY, USER, 1, 2, 4, NULL },
	{ NOBODY, GROUP, 1, 0, 4, NULL },
	{ NOBODY, USER, 0, 4, 4, NULL },
};

START_TEST(key_file_with_a_list)
{
	char error[256] = "";

	if (geteuid() != 0)
		return;
	write_file("k.key", 0600, KEY);
	ck_assert_int_eq(chown("k.key", 0, lists[_i].group), 0);
	if (!acl_set("k.key", lists[_i].tag, lists[_i].id, lists[_i].permissions, lists[_i].mask))
		return;
	if (lists[_i].why)
		snprintf(error, sizeof error, "t.conf:1: hash_key: \"k.key\": %s", lists[_i].why);
	expect_errors(OF_NOBODY, error);
	unlink("k.key");
}
END_TEST

/* Who runs without root, as after a start, finds the same. */
START_TEST(key_file_with_a_list_at_a_reload)
{
	write_file("k.key", 0600, KEY);
	write_file(FILE_NAME, 0600, OF_NOBODY);
	if (geteuid() == 0 && (!acl_set("k.key", USER, 1, 4, 4) || setegid(NOBODY) != 0 || seteuid(NOBODY) != 0))
		return;
	if (geteuid() != NOBODY)
		return;
	struct conf_report report;
	conf_free(conf_load(FILE_NAME, &report));
	ck_assert_str_eq(join_lines(report.errors, report.error_count),
			 "t.conf:1: hash_key: \"k.key\": its access control list lets others access it; setfacl -b it");
	conf_report_free(&report);
	ck_assert(seteuid(0) == 0 && setegid(0) == 0);
	ck_assert(acl_set("k.key", USER, NOBODY, 4, 4) && seteuid(NOBODY) == 0);
	conf_free(conf_load(FILE_NAME, &report));
	ck_assert_str_eq(join_lines(report.errors, report.error_count), "");
	conf_report_free(&report);
	ck_assert_int_eq(seteuid(0), 0);
	unlink("k.key");
}
END_TEST

/* The file itself, where a key is in it. */
START_TEST(inline_key_with_a_list)
{
	static const char exposed[] = "t.conf:1: hash_key: the access control list of this file lets others access it; "
				      "setfacl -b it, or put the key into a file of its own: \"@FILE\"";
	struct conf_report report;

	if (geteuid() != 0)
		return;
	write_file(FILE_NAME, 0600, "user = \"nobody\"; hash_key = \"" KEY "\";" LISTENERS POOLS);
	if (!acl_set(FILE_NAME, USER, 1, 4, 4))
		return;
	ck_assert_ptr_null(conf_load(FILE_NAME, &report));
	ck_assert_str_eq(join_lines(report.errors, report.error_count), exposed);
	conf_report_free(&report);
	ck_assert_int_eq(chown(FILE_NAME, 0, 0), 0);
	ck_assert(acl_set(FILE_NAME, USER, NOBODY, 4, 4));
	struct conf *conf = conf_load(FILE_NAME, &report);
	ck_assert_ptr_nonnull(conf);
	ck_assert_str_eq(join_lines(report.warnings, report.warning_count), "");
	conf_free(conf);
	conf_report_free(&report);
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

	write_file(FILE_NAME, 0644, "hash_key = \"" KEY "\"; user = \"nobody\";" LISTENERS QUIC_LB_POOL(KEY));
	conf_free(conf_load(FILE_NAME, &report));
	ck_assert_str_eq(join_lines(report.errors, report.error_count), both);
	conf_report_free(&report);
	write_file("k.key", 0644, KEY);
	expect_errors("hash_key = \"" KEY "\"; user = \"nobody\";" LISTENERS QUIC_LB_POOL("@k.key"), of_others);
	write_file("k.key", 0600, KEY);
	expect_errors("hash_key = \"" KEY "\"; user = \"nobody\";" LISTENERS QUIC_LB_POOL("@k.key"), "");
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
	tcase_add_test(tests, users);
	tcase_add_loop_test(tests, key_file_with_a_list, 0, COUNT_OF(lists));
	tcase_add_test(tests, key_file_with_a_list_at_a_reload);
	tcase_add_test(tests, inline_key_with_a_list);
	tcase_add_test(tests, quic_lb_keys_are_secrets);
}
