#include <inttypes.h>
#include <pwd.h>
#include <sched.h>

#include "control/stateless.h"
#include "tests/fixtures/conf_fixture.h"
#include "tests/unit/suite.h"

#define KEY "000102030405060708090a0b0c0d0e0f"

static const uint8_t key_octets[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

#define LISTENERS "listeners = ( { name = \"l\"; address = \"127.0.0.1:5684\"; pool = \"p\"; } );\n"
#define POOLS                                                                                                          \
	"pools = ( { name = \"p\"; protocol = \"udp\"; backends = ( { name = \"a\"; address = \"127.0.0.1:6001\"; } "  \
	"); } );\n"

/* The source, what libconfig gets, and the texts in quotes, each with a '|' behind it. */
static const struct {
	const char *in, *out, *strings;
} rewritten[] = {
	{ "", "", "" },
	{ "a = 1;\n", "a =  1L ;\n", "" },
	{ "a=+1;b=-1;\n", "a= 1L ;b= -1L ;\n", "" },
	{ "a = 010;\n", "a =  10L ;\n", "" },
	{ "a = ++1; b = -+2; c+3 = +4;\n", "a = + 1L ; b = - 2L ; x 3L  =  4L ;\n", "" },
	{ "a = 12ab; b = 12e; c = ++.5;\n", "a =  0L x; b =  0L x; c = + 0.5 ;\n", "" },
	{ "a = 0x10; b = 0XfFL; c = 0x; d = -0x12;\n", "a =  16L ; b =  255L ; c =  0L x; d =  0L x;\n", "" },
	{ "a = 2147483648;\n", "a =  2147483648L ;\n", "" },
	{ "a = 1L; b = 1LL;\n", "a =  1L ; b =  1L ;\n", "" },
	{ "a = 9223372036854775807;\n", "a =  9223372036854775807L ;\n", "" },
	{ "a = 9223372036854775808;\n", "a =  9223372036854775807L ;\n", "" },
	{ "a = -9223372036854775809;\n", "a =  -9223372036854775808L ;\n", "" },
	{ "a = 0xffffffffffffffffL;\n", "a =  9223372036854775807L ;\n", "" },
	{ "a = 1.5; b = .5; c = 5.; d = 1e5; e = -1.5e-3;\n",
	  "a =  0.5 ; b =  0.5 ; c =  0.5 ; d =  0.5 ; e =  0.5 ;\n", "" },
	{ "a = true; b : FALSE; c /* = */\n= trues; d e\n", "a = true; b : FALSE; c  \n= x; x x\n", "" },
	{ "a1 = \"12\"; b-2 = \"\\\"3\" ; *4 = \"\\\\\" 5\n", "a1 = \"0\"; b-2 = \"3\" ; *4 = \"6\"  5L \n",
	  "12|\"3|\\|" },
	{ "a = \"1\" \"2\"\t/* 3 */ \"4\" # 5\n\"6\"; b = \"7\"\n", "a = \"0\" \t    \n; b = \"5\"\n", "1246|7|" },
	{ "a = [\"1\", \"2\"];\n", "a = [\"0\", \"2\"];\n", "1|2|" },
	{ "a = \"\"; b = \"1\n2\" \"\n\"; c = \"\"\n", "a = \"0\"; b = \"1\n\" \n; c = \"6\"\n", "|1\n2\n||" },
	{ "a = \"\\n\\r\\t\\f\\x41\\X4a\\xg\\q\\\n\"\n", "a = \"0\n\"\n", "\n\r\t\fAJ\\xg\\q\\\n|" },
	{ "a = \"1\\x002\" \"3\"\n", "a = \"0\" \n", "123|" },
	{ "a = \"\\x4\"\n", "a = \"0\"\n", "\\x4|" },
	{ "# 1\n// 2\n/* 3\n4 */ 5\n", " \n \n \n  5L \n", "" },
	{ "a = 5 / 6\n", "a =  5L  /  6L \n", "" },
	{ "a = \"1", "a = \"", "" },
	{ "a = \"1\\\"", "a = \"", "" },
	{ "a = \"1\" \"2", "a = \"0\" \"", "1|" },
	{ "/* 1\n", " \n", "" },
	{ "a = \"1\\", "a = \"", "" },
	{ "# 1", " ", "" },
};

START_TEST(rewrite)
{
	int include_line;
	struct conf_strings strings;
	char *out = conf_text_rewrite(rewritten[_i].in, &strings, &include_line);

	ck_assert_str_eq(out, rewritten[_i].out);
	ck_assert_uint_lt(strings.len, strings.room + !strings.len);
	for (size_t i = 0; i < strings.len; i++)
		strings.octets[i] = strings.octets[i] ? strings.octets[i] : '|';
	ck_assert_uint_eq(strings.len, strlen(rewritten[_i].strings));
	ck_assert_mem_eq(strings.octets, rewritten[_i].strings, strings.len);
	ck_assert_int_eq(include_line, 0);
	conf_strings_free(&strings);
	free(out);
}
END_TEST

/* One long text, so that what follows begins at numbers as long as there can be; then what grows most by them. Few of
 * it, since a sanitizer that checks strings strictly reads on to their ends at each token. */
START_TEST(rewrite_has_room)
{
	enum { LONG = 4 << 20, TOKENS = 2000, WIDEST = 7 /* digits */ };
	char *text = malloc(LONG + 3 * TOKENS + 1), *out;
	struct conf_strings strings;
	int include_line;
	size_t octets;

	memset(text, 'x', LONG);
	text[0] = text[LONG - 1] = '"';
	for (size_t i = 0; i < 3 * TOKENS; i++)
		text[LONG + i] = ",\"\""[i % 3];
	text[LONG + 3 * TOKENS] = '\0';
	out = conf_text_rewrite(text, &strings, &include_line);
	octets = strlen(out) - strlen("\"0\"");
	ck_assert_uint_eq(octets, TOKENS * (strlen(",\"\"") + WIDEST));
	ck_assert_uint_lt(octets, 5 * strlen(text + LONG));
	ck_assert_uint_eq(strings.len, LONG - 1 + TOKENS);
	conf_strings_free(&strings);
	free(out);
	free(text);
}
END_TEST

START_TEST(rewrite_finds_include)
{
	int include_line;
	struct conf_strings strings;

	free(conf_text_rewrite("# @include \"a\"\na = \"@include\";\n\n  @include \"b\"\n@include \"c\"\n", &strings,
			       &include_line));
	conf_strings_free(&strings);
	ck_assert_int_eq(include_line, 4);
}
END_TEST

START_TEST(unreadable)
{
	static const struct {
		const char *file, *error;
	} cases[] = {
		{ "absent.conf", "absent.conf:1: No such file or directory" },
		{ ".", ".:1: Is a directory" },
		{ "/dev/zero", "/dev/zero:1: File too large" },
	};
	struct conf_report report;

	for (int i = 0; i < COUNT_OF(cases); i++) {
		ck_assert_ptr_null(conf_load(cases[i].file, &report));
		ck_assert_str_eq(join_lines(report.errors, report.error_count), cases[i].error);
		conf_report_free(&report);
	}
}
END_TEST

START_TEST(nul_in_file)
{
	struct conf_report report;

	write_file(FILE_NAME, 0600, LISTENERS POOLS);
	ck_assert_int_eq(truncate(FILE_NAME, 4096), 0);
	ck_assert_ptr_null(conf_load(FILE_NAME, &report));
	ck_assert_str_eq(join_lines(report.errors, report.error_count), "t.conf:1: not a text file");
	conf_report_free(&report);
}
END_TEST

static struct conf *load_good(const char *text)
{
	struct conf_report report;
	struct conf *conf = load_text(&report, text);

	ck_assert_str_eq(join_lines(report.errors, report.error_count), "");
	ck_assert_ptr_nonnull(conf);
	conf_report_free(&report);
	return conf;
}

START_TEST(defaults)
{
	struct conf *conf = load_good("hash_key = \"" KEY "\";" LISTENERS
				      "pools = ( { name = \"p\"; cid = { scheme = \"node-id\"; length = 6; };"
				      "backends = ( { name = \"a\"; id = 7; address = \"127.0.0.1:6001\"; } ); } );");
	const struct conf_pool *pool = conf->pools;
	cpu_set_t cpus;

	ck_assert_int_eq(sched_getaffinity(0, sizeof cpus, &cpus), 0);
	ck_assert_uint_eq(conf->workers, CPU_COUNT(&cpus) < 64 ? (unsigned)CPU_COUNT(&cpus) : 64);
	ck_assert_str_eq(conf->file, FILE_NAME);
	ck_assert_ptr_null(conf->user);
	ck_assert_mem_eq(conf->hash_key, key_octets, sizeof key_octets);
	ck_assert(!conf->has_http);
	ck_assert_str_eq(conf->socket, "/run/cidlb/admin.sock");
	ck_assert(conf->socket_default);
	ck_assert_str_eq(conf->state_file, "/var/lib/cidlb/state.json");
	ck_assert_uint_eq(conf->listener_count, 1);
	ck_assert_uint_eq(conf->pool_count, 1);
	ck_assert_int_eq(pool->protocol, POOL_DTLS);
	ck_assert_int_eq(pool->affinity, AFFINITY_ADDRESS_PORT);
	ck_assert_int_eq(pool->unknown_cid, UNKNOWN_CID_DROP);
	ck_assert_int_eq(pool->all_down, ALL_DOWN_HASH);
	ck_assert_int_eq(pool->layout.scheme, CID_LAYOUT_ID);
	ck_assert_uint_eq(pool->layout.length, 6);
	ck_assert_uint_eq(pool->layout.lbcid.length, 6);
	ck_assert_uint_eq(pool->layout.lbcid.offset, 0);
	ck_assert_uint_eq(pool->layout.lbcid.size, 1);
	ck_assert_int_eq(pool->nat.rebind, REBIND_FOLLOW);
	ck_assert_uint_eq(pool->nat.source_count, 1);
	ck_assert_mem_eq(pool->nat.sources[0].addr.ip, ((uint8_t[16]){ [10] = 0xff, 0xff, 127, 64 }), 16);
	ck_assert_uint_eq(pool->nat.sources[0].bits, 10);
	ck_assert_uint_eq(pool->nat.port_first, 40684);
	ck_assert_uint_eq(pool->nat.port_last, 40684);
	ck_assert_uint_eq(pool->nat.idle_s, 300);
	ck_assert_uint_eq(pool->nat.cid_idle_s, 86400);
	ck_assert_uint_eq(pool->nat.max_flows, 100000);
	ck_assert_uint_eq(pool->nat.settle_ms, 5000);
	ck_assert_uint_eq(pool->nat.contest_s, 60);
	ck_assert_uint_eq(pool->hello_rate.pool, 0);
	ck_assert_uint_eq(pool->hello_rate.backend, 0);
	ck_assert_uint_eq(pool->hello_rate.prefix, 0);
	ck_assert_int_eq(pool->health.probe, PROBE_DTLS);
	ck_assert_uint_eq(pool->health.interval_ms, 2000);
	ck_assert_uint_eq(pool->health.timeout_ms, 1000);
	ck_assert_uint_eq(pool->health.rise, 2);
	ck_assert_uint_eq(pool->health.fall, 3);
	ck_assert_uint_eq(pool->backend_count, 1);
	ck_assert(pool->backends[0].has_id);
	ck_assert_uint_eq(pool->backends[0].id.len, 1);
	ck_assert_uint_eq(pool->backends[0].id.octets[0], 7);
	ck_assert_ptr_null(pool->backends[0].host);
	ck_assert_uint_eq(pool->backends[0].weight, 100);
	ck_assert_int_eq(pool->backends[0].admin, BACKEND_READY);
	conf_free(conf);
}
END_TEST

START_TEST(every_value)
{
	struct conf *conf = load_good("workers = 3; user = \"root\"; state_file = \"/t\"; hash_key = \"" KEY
				      "\"; admin = { http = \"[::1]:9180\"; socket = \"/s\"; };"
				      "listeners = ( { name = \"l6\"; address = \"[::1]:5684\"; pool = \"q\"; }, { "
				      "name = \"l4\"; address = \"127.0.0.1:5684\"; "
				      "pool = \"p\"; } );"
				      "pools = ( { name = \"p\"; protocol = \"udp\"; affinity = \"address\"; backends "
				      "= ( { name = \"a\"; address = "
				      "\"127.0.0.1:6001\"; } ); },"
				      "{ name = \"q\"; protocol = \"dtls\"; forward = \"nat\"; unknown_cid = \"hash\";"
				      "  cid = { scheme = \"node-id\"; length = 12; offset = 2; size = 3; };"
				      "  nat = { rebind = \"backend\"; sources = ( \"10.64.0.0/16\", \"fd00:1::/64\" "
				      "); ports = \"100-107\"; idle_s = 11; "
				      "cid_idle_s = 12;"
				      "          max_flows = 0x0D; settle_ms = 114; contest_s = 15L; };"
				      "  health = { probe = \"none\"; interval_ms = 16; timeout_ms = 17; rise = 18; "
				      "fall = 19; all_down = \"drop\"; };"
				      "  hello_rate = { pool = 20; backend = 21; prefix = 22; };"
				      "  backends = ( { name = \"A.b_c-1\"; id = \"ed793a\"; address = "
				      "\"10.0.0.1:6001\"; weight = 0; state = \"drain\"; },"
				      "               { name = \"b\"; id = 65537; address = \"[fd00::2]:6002\"; weight "
				      "= 256; state = \"maint\"; } ); } );");
	const struct conf_pool *p = &conf->pools[0], *q = &conf->pools[1];
	char text[ADDR_TEXT_OCTETS];

	ck_assert_uint_eq(conf->workers, 3);
	ck_assert_str_eq(conf->user, "root");
	ck_assert(conf->has_http);
	ck_assert_str_eq(addr_format(&conf->http, text), "[::1]:9180");
	ck_assert_str_eq(conf->socket, "/s");
	ck_assert_str_eq(conf->state_file, "/t");
	ck_assert(!conf->socket_default);
	ck_assert_str_eq(conf->listeners[0].name, "l6");
	ck_assert_str_eq(addr_format(&conf->listeners[0].addr, text), "[::1]:5684");
	ck_assert_uint_eq(conf->listeners[0].pool, 1);
	ck_assert_uint_eq(conf->listeners[1].pool, 0);
	ck_assert_int_eq(p->protocol, POOL_UDP);
	ck_assert_int_eq(p->affinity, AFFINITY_ADDRESS);
	ck_assert_int_eq(p->layout.scheme, CID_LAYOUT_NONE);
	ck_assert_uint_eq(p->layout.length, 0);
	ck_assert_int_eq(p->health.probe, PROBE_COAP);
	ck_assert(!p->backends[0].has_id);
	ck_assert_int_eq(q->unknown_cid, UNKNOWN_CID_HASH);
	ck_assert_uint_eq(q->layout.length, 12);
	ck_assert_uint_eq(q->layout.lbcid.offset, 2);
	ck_assert_uint_eq(q->layout.lbcid.size, 3);
	ck_assert_int_eq(q->nat.rebind, REBIND_BACKEND);
	ck_assert_uint_eq(q->nat.source_count, 2);
	ck_assert_str_eq(addr_format(&q->nat.sources[0].addr, text), "10.64.0.0");
	ck_assert_uint_eq(q->nat.sources[0].bits, 16);
	ck_assert_str_eq(addr_format(&q->nat.sources[1].addr, text), "fd00:1::");
	ck_assert_uint_eq(q->nat.sources[1].bits, 64);
	ck_assert_uint_eq(q->nat.port_first, 100);
	ck_assert_uint_eq(q->nat.port_last, 107);
	ck_assert_uint_eq(q->nat.idle_s, 11);
	ck_assert_uint_eq(q->nat.cid_idle_s, 12);
	ck_assert_uint_eq(q->nat.max_flows, 13);
	ck_assert_uint_eq(q->nat.settle_ms, 114);
	ck_assert_uint_eq(q->nat.contest_s, 15);
	ck_assert_uint_eq(q->hello_rate.pool, 20);
	ck_assert_uint_eq(q->hello_rate.backend, 21);
	ck_assert_uint_eq(q->hello_rate.prefix, 22);
	ck_assert_int_eq(q->health.probe, PROBE_NONE);
	ck_assert_uint_eq(q->health.interval_ms, 16);
	ck_assert_uint_eq(q->health.timeout_ms, 17);
	ck_assert_uint_eq(q->health.rise, 18);
	ck_assert_uint_eq(q->health.fall, 19);
	ck_assert_int_eq(q->all_down, ALL_DOWN_DROP);
	ck_assert_str_eq(q->backends[0].name, "A.b_c-1");
	ck_assert_mem_eq(q->backends[0].id.octets, "\xed\x79\x3a", 3);
	ck_assert_uint_eq(q->backends[0].weight, 0);
	ck_assert_int_eq(q->backends[0].admin, BACKEND_DRAIN);
	ck_assert_mem_eq(q->backends[1].id.octets, "\x01\x00\x01", 3);
	ck_assert_str_eq(addr_format(&q->backends[1].addr, text), "[fd00::2]:6002");
	ck_assert_uint_eq(q->backends[1].weight, 256);
	ck_assert_int_eq(q->backends[1].admin, BACKEND_MAINT);
	conf_free(conf);
}
END_TEST

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

START_TEST(previous_key)
{
	struct conf *conf = load_good("user = \"root\"; hash_key = \"" KEY "\";" LISTENERS POOLS);

	ck_assert(!conf->has_previous_key);
	conf_free(conf);
	write_file("k.key", 0600, "ff0102030405060708090a0b0c0d0e0f\n");
	conf = load_good("user = \"root\"; hash_key = \"" KEY "\"; hash_key_previous = \"@k.key\";" LISTENERS POOLS);
	ck_assert(conf->has_previous_key);
	ck_assert_uint_eq(conf->previous_key[0], 0xff);
	ck_assert_uint_eq(conf->previous_key[15], 0x0f);
	conf_free(conf);
	expect_errors("user = \"root\"; hash_key = \"" KEY "\";\nhash_key_previous = \"" KEY "\";" LISTENERS POOLS,
		      "t.conf:2: hash_key_previous: the same as hash_key");
	expect_errors(
		"user = \"root\"; hash_key = \"" KEY "\";\nhash_key_previous = \"00\";" LISTENERS POOLS,
		"t.conf:2: hash_key_previous: not 32 hex digits nor \"@FILE\"; make one with: openssl rand -hex 16");
	unlink("k.key");
}
END_TEST

#define PROBED(probe)                                                                                                  \
	"user = \"root\"; hash_key = \"" KEY "\";" LISTENERS "pools = ( { name = \"p\"; protocol = \"udp\";"           \
	"health = { " probe " }; backends = ( { name = \"a\"; address = \"127.0.0.1:6001\"; } ); } );"

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

START_TEST(probe_options_have_defaults)
{
	struct conf *conf = load_good(PROBED("probe = \"http\";"));

	ck_assert_int_eq(conf->pools[0].health.probe, PROBE_HTTP);
	ck_assert_str_eq(conf->pools[0].health.path, "/.well-known/cidlb");
	ck_assert_uint_eq(conf->pools[0].health.port, 0);
	ck_assert_ptr_null(conf->pools[0].health.psk_identity);
	conf_free(conf);
	conf = load_good(PROBED("probe = \"coap\";"));
	ck_assert_ptr_null(conf->pools[0].health.path);
	conf_free(conf);
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

/* `text`, which is freed, with `from` (once) replaced. */
static char *replaced(char *text, const char *from, const char *to)
{
	char *at = strstr(text, from), *out = NULL;

	ck_assert_msg(at, "no %s in: %s", from, text);
	ck_assert_int_gt(asprintf(&out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)), 0);
	free(text);
	return out;
}

/* The text of a shipped file, with `from` replaced. */
static char *shipped(const char *name, const char *from, const char *to)
{
	char path[512], *text;
	mode_t mode;

	snprintf(path, sizeof path, PROJECT_DIR "/conf/%s", name);
	ck_assert_int_eq(conf_text_read(path, &text, &mode), 0);
	return replaced(text, from, to);
}

START_TEST(shipped_files_load)
{
	static const char *const names[] = { "cidlb.conf", "lwm2m.conf", "nat.conf", "nat-backend.conf",
					     "stateless.conf" };
	const struct passwd *user = getpwnam("cidlb") ? getpwnam("cidlb") : getpwnam("nobody");

	write_file("k.key", 0600, KEY);
	if (geteuid() == 0 && user)
		ck_assert_int_eq(chown("k.key", user->pw_uid, user->pw_gid), 0);
	for (int i = 0; i < COUNT_OF(names); i++) {
		char *text = shipped(names[i], "@/etc/cidlb/hash.key", "@k.key");
		expect_errors(text, "");
		free(text);
	}
	char *text =
		replaced(shipped("quic-lb.conf", "@/etc/cidlb/hash.key", "@k.key"), "@/etc/cidlb/cid0.key", "@k.key");
	expect_errors(text, "");
	free(text);
	text = replaced(shipped("tunnel.conf", "@/etc/cidlb/hash.key", "@k.key"), "@/etc/cidlb/tunnel.key", "@k.key");
	expect_errors(text, "");
	free(text);
	unlink("k.key");
}
END_TEST

/* It alone of them runs so. */
START_TEST(stateless_runs_without_a_table)
{
	static const char *const names[] = { "lwm2m.conf", "nat.conf", "nat-backend.conf", "stateless.conf" };

	write_file("k.key", 0600, KEY);
	for (int i = 0; i < COUNT_OF(names); i++) {
		char *text = replaced(shipped(names[i], "@/etc/cidlb/hash.key", "@k.key"),
				      "hash_key =", "user = \"root\"; hash_key =");
		struct conf *conf = load_good(text);

		for (size_t pool = 0; pool < conf->pool_count; pool++)
			ck_assert_int_eq(stateless_listener(conf, pool) != NULL,
					 strcmp(names[i], "stateless.conf") == 0);
		conf_free(conf);
		free(text);
	}
	unlink("k.key");
}
END_TEST

#define QUIC_LB_POOL(key)                                                                                              \
	"pools = ( { name = \"p\"; cid = { scheme = \"quic-lb\"; configs = (\n"                                        \
	"  { rotation = 5; server_id_length = 3; nonce_length = 4; key = \"" key "\"; },\n"                            \
	"  { rotation = 0; server_id_length = 3; nonce_length = 9; } ); };\n"                                          \
	"backends = ( { name = \"a\"; id = \"ed793a\"; address = \"127.0.0.1:6001\"; } ); } );"

START_TEST(quic_lb_configs)
{
	struct conf *conf =
		load_good("hash_key = \"" KEY "\";" LISTENERS QUIC_LB_POOL("8f95f09245765f80256934e50c66207f"));
	static const uint8_t cid[] = { 0xa7, 0x20, 0xb1, 0xd0, 0x7b, 0x35, 0x9d, 0x3c };
	const struct cid_layout *layout = &conf->pools[0].layout;
	struct server_id id;

	ck_assert_int_eq(layout->scheme, CID_LAYOUT_ID);
	ck_assert_uint_eq(layout->length, 13);
	ck_assert_uint_eq(cid_length(layout, 0xa0), 8);
	ck_assert_uint_eq(cid_length(layout, 0x00), 13);
	ck_assert_uint_eq(cid_id_octets(layout), 3);
	ck_assert_uint_eq(layout->lbcid.rotation, 5);
	ck_assert_ptr_nonnull(cid_config(layout, 5)->key);
	ck_assert_ptr_null(cid_config(layout, 0)->key);
	ck_assert_int_eq(cid_open_octets(&id, layout, cid, sizeof cid), CID_OPENED);
	ck_assert_mem_eq(&id, &conf->pools[0].backends[0].id, sizeof id);
	conf_free(conf);
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
		&conf_section_hello_rate, &conf_section_tunnel,     &conf_section_tunnel_key, &conf_section_backend
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
	tcase_add_loop_test(tests, rewrite, 0, COUNT_OF(rewritten));
	tcase_add_test(tests, rewrite_has_room);
	tcase_add_test(tests, rewrite_finds_include);
	tcase_add_test(tests, unreadable);
	tcase_add_test(tests, nul_in_file);
	tcase_add_test(tests, defaults);
	tcase_add_test(tests, every_value);
	tcase_add_loop_test(tests, key_file, 0, COUNT_OF(key_files));
	tcase_add_test(tests, key_file_is_relative_to_the_configuration);
	tcase_add_test(tests, key_file_is_a_file);
	tcase_add_test(tests, previous_key);
	tcase_add_test(tests, coaps_credentials);
	tcase_add_test(tests, coaps_key_in_a_file_of_others);
	tcase_add_test(tests, probe_options_have_defaults);
	tcase_add_test(tests, inline_key);
	tcase_add_test(tests, key_file_of_another_user);
	tcase_add_test(tests, shipped_files_load);
	tcase_add_test(tests, stateless_runs_without_a_table);
	tcase_add_test(tests, quic_lb_configs);
	tcase_add_test(tests, quic_lb_keys_are_secrets);
	tcase_add_test(tests, demo_loads_from_anywhere_but_stays_on_loopback);
	tcase_add_test(tests, cidlb_conf_names_every_option_with_its_default);
}
