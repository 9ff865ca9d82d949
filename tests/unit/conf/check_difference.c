/* What a reload says has changed, and that no option is left out of it. */
#include "conf/difference.h"

#include "conf/settings.h"
#include "tests/fixtures/conf_fixture.h"
#include "tests/unit/suite.h"

static const char before[] =
	"user = \"nobody\"; hash_key = \"000102030405060708090a0b0c0d0e0f\"; workers = 2; state_file = \"\";\n"
	"admin = { http = \"127.0.0.1:9180\"; hosts = [ \"a.example\" ]; socket = \"/run/x.sock\"; };\n"
	"listeners = ( { name = \"x\"; address = \"127.0.0.1:5684\"; pool = \"p\"; },\n"
	"              { name = \"y\"; address = \"127.0.0.1:5685\"; pool = \"q\"; } );\n"
	"pools = ( { name = \"p\"; cid = { scheme = \"node-id\"; length = 6; };\n"
	"  nat = { sources = [ \"127.64.0.0/10\" ]; idle_s = 300; };\n"
	"  health = { probe = \"coaps\"; psk_identity = \"who\"; psk_key = \"0011\"; };\n"
	"  backends = ( { name = \"a\"; id = 1; address = \"127.0.0.1:6001\"; },\n"
	"               { name = \"b\"; id = 2; address = \"127.0.0.1:6002\"; },\n"
	"               { name = \"c\"; id = 3; address = \"127.0.0.1:6003\"; } ); },\n"
	"  { name = \"q\"; forward = \"tunnel\"; tunnel = { local = \"127.0.0.1:7200\";\n"
	"    keys = ( { id = 1; key = \"000102030405060708090a0b0c0d0e0f\"; } ); };\n"
	"  cid = { scheme = \"quic-lb\"; configs = ( { rotation = 0; server_id_length = 1; nonce_length = 6; } ); };\n"
	"  backends = ( { name = \"a\"; id = 1; address = \"127.0.0.1:6001\"; } ); } );\n";

enum { EDITS = 3 };

static const struct {
	const char *edits[EDITS][2];
	const char *lines;
} changes[] = {
	{ { { "workers", "workers" } }, "" },
	{ { { "workers = 2", "workers = 4" } }, "workers 2->4" },
	{ { { "state_file = \"\"", "state_file = \"/s.json\"" }, { "/run/x.sock", "" } },
	  "state_file none->/s.json, admin.socket /run/x.sock->none" },
	{ { { "hash_key = \"00", "hash_key_previous = \"000102030405060708090a0b0c0d0e0f\"; hash_key = \"ff" } },
	  "hash_key is another one, hash_key_previous added" },
	{ { { "[ \"a.example\" ]", "[ \"b.example\", \"c.example\" ]" } },
	  "admin.hosts a.example->b.example c.example" },
	{ { { "{ name = \"x\"; address = \"127.0.0.1:5684\"", "{ name = \"z\"; address = \"127.0.0.1:5684\"" } },
	  "-listener x\n+listener z" },
	{ { { ":5685", ":5686; freebind = true" }, { "5686; freebind = true\"", "5686\"; freebind = true" } },
	  "listener y: address 127.0.0.1:5685->127.0.0.1:5686, freebind false->true" },
	{ { { "pool = \"q\"", "pool = \"r\"" }, { "{ name = \"q\"", "{ name = \"r\"" } },
	  "listener y: pool q->r\n-pool q\n+pool r" },
	{ { { "idle_s = 300", "idle_s = 600; rebind = \"backend\"" }, { "length = 6;", "length = 8; offset = 1;" } },
	  "pool p: cid.length 6->8, cid.offset 0->1, nat.rebind follow->backend, nat.idle_s 300->600" },
	{ { { "\"0011\"", "\"0012\"" }, { "\"who\"", "\"whom\"" } },
	  "pool p: health.psk_identity is another one, health.psk_key is another one" },
	{ { { "id = 1; key = \"00", "id = 1; key = \"ff" } }, "pool q: tunnel.keys.key is another one" },
	{ { { "nonce_length = 6", "nonce_length = 7" }, { "rotation = 0", "rotation = 1" } },
	  "pool q: cid.configs *0:1+6:open->*1:1+7:open, cid.configs.key is another one" },
	{ { { "\"c\"; id = 3; address = \"127.0.0.1:6003\"", "\"d\"; id = 4; address = \"127.0.0.1:6004\"" },
	    { "6001\"; }", "6001\"; weight = 90; state = \"drain\"; }" } },
	  "-p/c\np/a: weight 100->90, state ready->drain\n+p/d" },
	{ { { "6002\"; }", "6012\"; may_claim = [ 1, 3 ]; }" } },
	  "p/b: address 127.0.0.1:6002->127.0.0.1:6012, may_claim none->01 03" },
};

static struct conf *load_edited(const char *const edits[EDITS][2])
{
	static char text[1 << 14], next[1 << 14];
	struct conf_report report;
	struct conf *conf;

	snprintf(text, sizeof text, "%s", before);
	for (int i = 0; i < EDITS && edits[i][0]; i++) {
		const char *at = strstr(text, edits[i][0]);

		ck_assert_msg(at, "%s", edits[i][0]);
		snprintf(next, sizeof next, "%.*s%s%s", (int)(at - text), text, edits[i][1], at + strlen(edits[i][0]));
		memcpy(text, next, sizeof text);
	}
	conf = load_text(&report, text);
	ck_assert_msg(conf, "%s", join_lines(report.errors, report.error_count));
	conf_report_free(&report);
	return conf;
}

static void on_line(void *ctx, const char *line)
{
	char *lines = ctx;

	snprintf(lines + strlen(lines), 1024 - strlen(lines), "%s%s", *lines ? "\n" : "", line);
}

START_TEST(differences)
{
	static const char *const none[EDITS][2];
	struct conf *was = load_edited(none), *is = load_edited(changes[_i].edits);
	char lines[1024] = "";

	ck_assert_int_eq(conf_difference(was, is, on_line, lines), 0);
	ck_assert_str_eq(lines, changes[_i].lines);
	/* What comes goes, and back again: something is told of either way, or of neither. */
	lines[0] = '\0';
	ck_assert_int_eq(conf_difference(is, was, on_line, lines), 0);
	ck_assert_int_eq(*lines == '\0', *changes[_i].lines == '\0');
	conf_free(was);
	conf_free(is);
}
END_TEST

static void expect_option(const struct settings *settings, const char *group, const struct conf_option *option)
{
	static const char *const told_otherwise[] = { "name", "count", "id_base", "keys" };
	char name[64];

	if (option->type == CONF_GROUP || option->gone)
		return;
	for (size_t i = 0; i < 4; i++)
		if (strcmp(option->name, told_otherwise[i]) == 0)
			return;
	snprintf(name, sizeof name, "%s%s", group, option->name);
	for (size_t i = 0; i < settings->count; i++)
		if (strcmp(settings->of[i].option, name) == 0)
			return;
	ck_abort_msg("a change of %s is not told of", name);
}

static void expect_section(struct settings *settings, const char *group, const struct conf_section *section)
{
	for (size_t i = 0; i < section->count; i++)
		if (strcmp(section->options[i].name, "listeners") != 0 &&
		    strcmp(section->options[i].name, "pools") != 0 && strcmp(section->options[i].name, "backends") != 0)
			expect_option(settings, group, &section->options[i]);
}

/* Every option that the reader knows. The parts of cid.configs are told of together. */
START_TEST(no_option_is_left_out)
{
	static const char *const none[EDITS][2];
	struct conf *conf = load_edited(none);
	struct settings settings;

	settings_of_file(&settings, conf);
	expect_section(&settings, "", &conf_section_root);
	expect_section(&settings, "admin.", &conf_section_admin);
	expect_section(&settings, "redis.", &conf_section_redis);
	expect_section(&settings, "fast.", &conf_section_fast);
	settings_free(&settings);
	settings_of_listener(&settings, conf, &conf->listeners[0]);
	expect_section(&settings, "", &conf_section_listener);
	settings_free(&settings);
	settings_of_pool(&settings, &conf->pools[1]);
	expect_section(&settings, "", &conf_section_pool);
	expect_section(&settings, "cid.", &conf_section_cid);
	expect_section(&settings, "nat.", &conf_section_nat);
	expect_section(&settings, "tunnel.", &conf_section_tunnel);
	expect_section(&settings, "tunnel.keys.", &conf_section_tunnel_key);
	expect_section(&settings, "health.", &conf_section_health);
	expect_section(&settings, "hello_rate.", &conf_section_hello_rate);
	ck_assert_uint_lt(settings.count, SETTINGS_MAX);
	settings_free(&settings);
	settings_of_backend(&settings, &conf->pools[0].backends[0]);
	expect_section(&settings, "", &conf_section_backend);
	settings_free(&settings);
	conf_free(conf);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_unchecked_fixture(tests, conf_dir_enter, conf_dir_leave);
	tcase_add_loop_test(tests, differences, 0, COUNT_OF(changes));
	tcase_add_test(tests, no_option_is_left_out);
}
