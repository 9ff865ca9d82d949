/* The configurations that are shipped. */
#include <inttypes.h>

#include "tests/fixtures/shipped_conf.h"
#include "tests/unit/suite.h"

/* Frees `text`. It is read as if root ran cidlb, because this machine may have no user cidlb. */
static void expect_good(char *text)
{
	text = replaced(text, "hash_key =", "user = \"nobody\"; hash_key =");
	expect_errors(text, "");
	free(text);
}

START_TEST(shipped_files_load)
{
	static const char *const names[] = { "cidlb.conf", "dsr.conf",         "lwm2m.conf",
					     "nat.conf",   "nat-backend.conf", "stateless.conf" };

	write_file("k.key", 0600, KEY);
	for (int i = 0; i < COUNT_OF(names); i++) {
		char *text = shipped(names[i], "@/etc/cidlb/hash.key", "@k.key");
		expect_good(text);
	}
	char *text = shipped("quic-lb.conf", "@/etc/cidlb/hash.key", "@k.key");
	text = replaced(text, "@/etc/cidlb/cid0.key", "@k.key");
	expect_good(text);
	text = shipped("tunnel.conf", "@/etc/cidlb/hash.key", "@k.key");
	text = replaced(text, "@/etc/cidlb/tunnel.key", "@k.key");
	expect_good(text);
	unlink("k.key");
}
END_TEST

/* What an earlier version shipped still loads. What means nothing any more is a warning that says what to write. */
START_TEST(files_of_before_load)
{
	static const char *const gone[] = { "nat.settle_ms: ", "nat.contest_s: " };
	char *text = shipped("../tests/fixtures/upgrade/cidlb.conf", "@/etc/cidlb/hash.key", "@k.key");
	struct conf_report report;
	struct conf *conf;

	write_file("k.key", 0600, KEY);
	text = replaced(text, "hash_key =", "user = \"nobody\"; hash_key =");
	conf = load_text(&report, text);
	ck_assert_str_eq(join_lines(report.errors, report.error_count), "");
	ck_assert_ptr_nonnull(conf);
	ck_assert_uint_eq(report.warning_count, 2);
	for (int i = 0; i < 2; i++) {
		ck_assert_ptr_nonnull(strstr(report.warnings[i], gone[i]));
		ck_assert_ptr_nonnull(strstr(report.warnings[i], "contest = \"own\" | \"home\""));
	}
	conf_free(conf);
	conf_report_free(&report);
	free(text);
	unlink("k.key");
}
END_TEST

START_TEST(demo_loads_from_anywhere_but_stays_on_loopback)
{
	char *text = shipped("demo.conf", "127.0.0.1:5684", "0.0.0.0:5684");
	struct conf_report report;
	struct conf *conf = conf_load(PROJECT_DIR "/conf/demo.conf", &report);

	ck_assert_str_eq(join_lines(report.errors, report.error_count), "");
	ck_assert_uint_eq(conf->workers, 2);
	ck_assert_uint_eq(conf->pool_count, 2);
	ck_assert_uint_eq(conf->pools[1].backend_count, 3);
	ck_assert_int_eq(conf->pools[1].layout.scheme, CID_LAYOUT_NONE);
	conf_free(conf);
	conf_report_free(&report);
	expect_errors(text, "t.conf:6: hash_key: the demo's key is public; make one with: openssl rand -hex 16");
	free(text);
}
END_TEST

static bool documented(const char *text, const struct conf_option *option)
{
	char wanted[96];

	if (option->gone)
		return !strstr(text, option->name);
	if (option->type == CONF_NUMBER && !option->required && option->fallback >= option->min)
		snprintf(wanted, sizeof wanted, "%s = %" PRId64 ";", option->name, option->fallback);
	else if (option->type == CONF_WORD && !option->required)
		snprintf(wanted, sizeof wanted, "%s = \"%s\";", option->name, option->words[option->fallback]);
	else
		snprintf(wanted, sizeof wanted, "%s = ", option->name);
	return strstr(text, wanted);
}

START_TEST(cidlb_conf_names_every_option_with_its_default)
{
	static const struct conf_section *const sections[] = {
		&conf_section_root,       &conf_section_admin,      &conf_section_listener,   &conf_section_pool,
		&conf_section_cid,        &conf_section_cid_config, &conf_section_nat,        &conf_section_health,
		&conf_section_hello_rate, &conf_section_tunnel,     &conf_section_tunnel_key, &conf_section_backend,
		&conf_section_redis,      &conf_section_dsr,
	};
	char *text = shipped("cidlb.conf", "# cidlb", "# cidlb");

	for (int i = 0; i < COUNT_OF(sections); i++)
		for (size_t j = 0; j < sections[i]->count; j++) {
			const struct conf_option *option = &sections[i]->options[j];
			ck_assert_msg(documented(text, option), "%s: %s", sections[i]->path, option->name);
		}
	free(text);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_unchecked_fixture(tests, conf_dir_enter, conf_dir_leave);
	tcase_add_test(tests, shipped_files_load);
	tcase_add_test(tests, files_of_before_load);
	tcase_add_test(tests, demo_loads_from_anywhere_but_stays_on_loopback);
	tcase_add_test(tests, cidlb_conf_names_every_option_with_its_default);
}
