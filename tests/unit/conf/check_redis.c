/* The group `redis`. */
#include "tests/fixtures/conf_texts.h"
#include "tests/unit/suite.h"

#define WORD_64 "0123456789012345678901234567890123456789012345678901234567890123"
#define HEAD    "hash_key = \"" KEY "\"; user = \"nobody\";"
#define LEARNING                                                                                                       \
	LISTENERS "pools = ( { name = \"p\"; backends = ( { name = \"a\"; address = \"127.0.0.1:6001\"; } ); } );"

#define NO_LEARNING                                                                                                    \
	"pools = ( { name = \"p\"; protocol = \"udp\"; backends = ( { name = \"a\"; address = \"127.0.0.1:6001\"; } "  \
	"); } );"

static const struct {
	const char *redis, *errors;
} groups[] = {
	{ "redis = { address = \"10.0.0.5:6379\"; };", "" },
	{ "redis = { address = \"[fd00::5]:6379\"; user = \"u\"; password = \"a b~\"; prefix = \"" WORD_64 "\"; };",
	  "" },
	{ "redis = 1;", "t.conf:1: redis: not a group { ... }" },
	{ "redis = { };", "t.conf:1: redis.address: missing" },
	{ "redis = { address = \"10.0.0.5\"; };",
	  "t.conf:1: redis.address: \"10.0.0.5\": the port is missing; accepted: A.B.C.D:PORT, [IPV6]:PORT" },
	{ "redis = { address = \"redis.example:6379\"; };",
	  "t.conf:1: redis.address: \"redis.example:6379\": only backends may have host names; give an IP address" },
	{ "redis = { address = \"0.0.0.0:6379\"; };",
	  "t.conf:1: redis.address: \"0.0.0.0:6379\" is the address of no server" },
	{ "redis = { address = \"224.0.0.1:1\"; };",
	  "t.conf:1: redis.address: \"224.0.0.1:1\" is the address of no server" },
	{ "redis = { address = \"10.0.0.5:6379\"; host = \"a\"; };",
	  "t.conf:1: redis.host: unknown; accepted: address, user, password, prefix" },
	{ "redis = { address = \"10.0.0.5:6379\"; user = \"u\"; };",
	  "t.conf:1: redis.user: a user needs redis.password" },
	{ "redis = { address = \"10.0.0.5:6379\"; user = \"a b\"; password = \"p\"; };",
	  "t.conf:1: redis.user: \"a b\"; accepted: 1..64 printable octets without blanks" },
	{ "redis = { address = \"10.0.0.5:6379\"; prefix = \"\"; };",
	  "t.conf:1: redis.prefix: \"\"; accepted: 1..64 printable octets without blanks" },
	{ "redis = { address = \"10.0.0.5:6379\"; prefix = \"" WORD_64 "4\"; };",
	  "t.conf:1: redis.prefix: \"0123456789012345678901234567890123456789012345678901234567...\"; accepted: 1..64 "
	  "printable "
	  "octets without blanks" },
	{ "redis = { address = \"10.0.0.5:6379\"; password = \"\"; };",
	  "t.conf:1: redis.password: not a password of 1..128 printable octets nor \"@FILE\"" },
	{ "redis = { address = \"10.0.0.5:6379\"; password = \"p\\tq\"; };",
	  "t.conf:1: redis.password: not a password of 1..128 printable octets nor \"@FILE\"" },
	{ "redis = { address = \"10.0.0.5:6379\"; password = \"@absent\"; };",
	  "t.conf:1: redis.password: \"absent\": No such file or directory" },
};

START_TEST(a_group)
{
	char text[1024];

	snprintf(text, sizeof text, HEAD "%s" LEARNING, groups[_i].redis);
	expect_errors(text, groups[_i].errors);
}
END_TEST

static const struct {
	const char *text; /* of the file */
	mode_t mode;
	const char *password; /* NULL: refused */
	const char *why;
} files[] = {
	{ "secret", 0600, "secret", NULL },
	{ "two words \t\r\n", 0400, "two words", NULL },
	{ WORD_64 WORD_64 "\n", 0640, WORD_64 WORD_64, NULL },
	{ WORD_64 WORD_64 "4\n", 0600, NULL, "not a password of 1..128 printable octets" },
	{ "", 0600, NULL, "not a password of 1..128 printable octets" },
	{ "\n", 0600, NULL, "not a password of 1..128 printable octets" },
	{ "one\ntwo\n", 0600, NULL, "not a password of 1..128 printable octets" },
	{ "caf\xc3\xa9", 0600, NULL, "not a password of 1..128 printable octets" },
	{ "secret", 0604, NULL, "others can access it; chmod o-rwx it" },
};

START_TEST(a_password_file)
{
	static const char text[] = HEAD "redis = { address = \"10.0.0.5:6379\"; password = \"@p\"; };" LEARNING;
	struct conf_report report;
	struct conf *conf;
	char error[256];

	write_file("p", files[_i].mode, files[_i].text);
	if (files[_i].password) {
		conf = load_text(&report, text);
		ck_assert_str_eq(join_lines(report.errors, report.error_count), "");
		ck_assert_uint_eq(conf->redis.password_len, strlen(files[_i].password));
		ck_assert_mem_eq(conf->redis.password, files[_i].password, conf->redis.password_len);
		ck_assert_str_eq(conf->redis.prefix, "cidlb");
		ck_assert(conf->has_redis && !conf->redis.user);
		conf_free(conf);
		conf_report_free(&report);
	} else {
		snprintf(error, sizeof error, "t.conf:1: redis.password: \"p\": %s", files[_i].why);
		expect_errors(text, error);
	}
	unlink("p");
}
END_TEST

START_TEST(an_exposed_password)
{
	write_file(FILE_NAME, 0644, HEAD "redis = { address = \"10.0.0.5:6379\"; password = \"p\"; };" LEARNING);
	struct conf_report report;
	struct conf *conf = conf_load(FILE_NAME, &report);

	ck_assert_ptr_null(conf);
	ck_assert_ptr_nonnull(strstr(join_lines(report.errors, report.error_count),
				     "redis.password: others can access this file; chmod o-rwx it, or put the key into "
				     "a file of its own: \"@FILE\""));
	conf_report_free(&report);
}
END_TEST

START_TEST(nothing_to_share)
{
	struct conf_report report;
	struct conf *conf = load_text(&report, HEAD "redis = { address = \"10.0.0.5:6379\"; };" LISTENERS NO_LEARNING);

	ck_assert_ptr_nonnull(conf);
	ck_assert_ptr_nonnull(strstr(join_lines(report.warnings, report.warning_count),
				     "redis: no pool learns anything, so there is nothing to share"));
	conf_free(conf);
	conf_report_free(&report);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_unchecked_fixture(tests, conf_dir_enter, conf_dir_leave);
	tcase_add_loop_test(tests, a_group, 0, COUNT_OF(groups));
	tcase_add_loop_test(tests, a_password_file, 0, COUNT_OF(files));
	tcase_add_test(tests, an_exposed_password);
	tcase_add_test(tests, nothing_to_share);
}
