#include "tests/fixtures/conf_fixture.h"
#include "tests/unit/suite.h"

#define SET      "name = \"s-%d\"; count = 3; "
#define LABEL_60 "abcdefghijklmnopqrstuvwxyz0123456789-_abcdefghijklmnopqrstuv"
#define HOST_192 LABEL_60 "abc." LABEL_60 "abc." LABEL_60 "abc."

/* Line 1 is the pool, 2 its backends. */
static const char *compose(const char *pool, const char *backends)
{
	static char text[8192];

	snprintf(text, sizeof text,
		 "pools = ( { name = \"p\"; cid = { scheme = \"node-id\"; length = 6; }; %s\n"
		 "backends = ( %s ); } );\n"
		 "listeners = ( { name = \"l\"; address = \"127.0.0.1:5684\"; pool = \"p\"; } );\n"
		 "hash_key = \"000102030405060708090a0b0c0d0e0f\"; user = \"nobody\";\n",
		 pool, backends);
	return text;
}

#define SOURCES "nat = { sources = [ \"127.64.0.0/10\" ]; };"

static struct conf *load_good(const char *pool, const char *backends)
{
	struct conf_report report;
	struct conf *conf = load_text(&report, compose(pool, backends));

	ck_assert_str_eq(join_lines(report.errors, report.error_count), "");
	ck_assert_ptr_nonnull(conf);
	conf_report_free(&report);
	return conf;
}

#define AT          "t.conf:2: pools[0].backends[0].address: "
#define NO_PORT     ": its port is out of range; accepted: 1..65535"
#define NO_BRACKETS ": an IPv6 address stands in brackets; accepted: [IPV6]:PORT"
#define NOT_OWN     ": a backend needs an address of its own; accepted: that of one host"
#define NO_ADDRESS  " is no address with port; accepted: A.B.C.D:PORT, [IPV6]:PORT, HOST:PORT"
#define NO_HOST     ": no host name; accepted: 1..63 letters, digits, '_' and inner '-' between dots, in all at most 253"

static const struct {
	const char *address, *host; /* NULL: no host */
	uint16_t port;
	const char *errors; /* NULL: accepted */
} addresses[] = {
	{ "127.0.0.1:6001", NULL, 6001, NULL },
	{ "lwm2m-0.lwm2m:5684", "lwm2m-0.lwm2m", 5684, NULL },
	{ "a:1", "a", 1, NULL },
	{ "a.:1", "a.", 1, NULL },
	{ "3com.example.:65535", "3com.example.", 65535, NULL },
	{ "_dtls._UDP.X:5684", "_dtls._udp.x", 5684, NULL },
	{ "1.2.3.4a:5684", "1.2.3.4a", 5684, NULL },
	{ LABEL_60 "abc:1", LABEL_60 "abc", 1, NULL },
	{ LABEL_60 "abcd:1", .errors = AT "\""
					  "abcdefghijklmnopqrstuvwxyz0123456789-_abcdefghijklmnopqrst"
					  "...\"" NO_HOST },
	{ HOST_192 LABEL_60 "c:1", HOST_192 LABEL_60 "c", 1, NULL },
	{ HOST_192 LABEL_60 "c.:1", HOST_192 LABEL_60 "c.", 1, NULL },
	{ HOST_192 LABEL_60 "cd:1", .errors = AT "\""
						 "abcdefghijklmnopqrstuvwxyz0123456789-_abcdefghijklmnopqrst"
						 "...\"" NO_HOST },
	{ "300.1.2.3:5684", .errors = AT "\"300.1.2.3:5684\"" NO_ADDRESS },
	{ "1.2.3.4.:5684", .errors = AT "\"1.2.3.4.:5684\"" NO_ADDRESS },
	{ "12:5684", .errors = AT "\"12:5684\"" NO_ADDRESS },
	{ ":5684", .errors = AT "\":5684\"" NO_ADDRESS },
	{ "host", .errors = AT "\"host\"" NO_ADDRESS },
	{ "host:", .errors = AT "\"host:\"" NO_ADDRESS },
	{ "host:0", .errors = AT "\"host:0\"" NO_PORT },
	{ "host:65536", .errors = AT "\"host:65536\"" NO_PORT },
	{ "host:coaps", .errors = AT "\"host:coaps\"" NO_ADDRESS },
	{ "fd00::a:5684", .errors = AT "\"fd00::a:5684\"" NO_BRACKETS },
	{ "[host]:5684", .errors = AT "\"[host]:5684\"" NO_HOST },
	{ ".:1", .errors = AT "\".:1\"" NO_ADDRESS },
	{ ".a:1", .errors = AT "\".a:1\"" NO_HOST },
	{ "a..b:1", .errors = AT "\"a..b:1\"" NO_HOST },
	{ "a..:1", .errors = AT "\"a..:1\"" NO_HOST },
	{ "-a.b:1", .errors = AT "\"-a.b:1\"" NO_HOST },
	{ "a-.b:1", .errors = AT "\"a-.b:1\"" NO_HOST },
	{ "a.b-:1", .errors = AT "\"a.b-:1\"" NO_HOST },
	{ "a b:1", .errors = AT "\"a b:1\"" NO_HOST },
	{ "a@b:1", .errors = AT "\"a@b:1\"" NO_HOST },
	{ "a[b:1", .errors = AT "\"a[b:1\"" NO_HOST },
	{ "a%d:1", .errors = AT "\"a%d:1\"" NO_HOST },
	{ "[::]:1", .errors = AT "\"[::]:1\"" NOT_OWN },
	{ "224.0.0.1:1", .errors = AT "\"224.0.0.1:1\"" NOT_OWN },
	{ "239.255.255.255:1", .errors = AT "\"239.255.255.255:1\"" NOT_OWN },
	{ "255.255.255.255:1", .errors = AT "\"255.255.255.255:1\"" NOT_OWN },
	{ "[ff02::1]:1", .errors = AT "\"[ff02::1]:1\"" NOT_OWN },
};

START_TEST(address)
{
	static const uint8_t none[16];
	struct conf_report report;
	struct conf *conf;
	char backend[512];

	snprintf(backend, sizeof backend, "{ name = \"a\"; id = 1; address = \"%s\"; }", addresses[_i].address);
	conf = load_text(&report, compose(SOURCES, backend));
	ck_assert_str_eq(join_lines(report.errors, report.error_count),
			 addresses[_i].errors ? addresses[_i].errors : "");
	ck_assert_int_eq(conf != NULL, !addresses[_i].errors);
	if (conf) {
		const struct conf_backend *a = conf->pools[0].backends;
		ck_assert_uint_eq(a->addr.port, addresses[_i].port);
		ck_assert_pstr_eq(a->host, addresses[_i].host);
		ck_assert_int_eq(memcmp(a->addr.ip, none, sizeof none) == 0, a->host != NULL);
	}
	conf_free(conf);
	conf_report_free(&report);
}
END_TEST

static const struct {
	const char *pool, *backends, *errors;
} mistakes[] = {
	/* sets */
	{ SOURCES, "{ name = \"s-%d\"; count = 256; address = \"s-%d:5684\"; }", "" },
	{ SOURCES, "{ name = \"s-%d\"; count = 257; address = \"s-%d:5684\"; }",
	  "t.conf:2: pools[0].backends[0].id_base: 257 ids from 0 do not fit size 1; accepted: 0..255" },
	{ SOURCES, "{ " SET "id_base = 253; address = \"s-%d:5684\"; }", "" },
	{ SOURCES, "{ " SET "id_base = 254; address = \"s-%d:5684\"; }",
	  "t.conf:2: pools[0].backends[0].id_base: 3 ids from 254 do not fit size 1; accepted: 0..255" },
	{ SOURCES, "{ name = \"s-%d\"; count = 1; id_base = 256; address = \"s-%d:5684\"; }",
	  "t.conf:2: pools[0].backends[0].id_base: 1 id from 256 does not fit size 1; accepted: 0..255" },
	{ SOURCES, "{ " SET "id_base = 9223372036854775806; address = \"s-%d:5684\"; }",
	  "t.conf:2: pools[0].backends[0].id_base: 3 ids from 9223372036854775806 do not fit size 1; accepted: "
	  "0..255" },
	{ SOURCES, "{ " SET "id_base = -1; address = \"s-%d:5684\"; }",
	  "t.conf:2: pools[0].backends[0].id_base: -1 is out of range; accepted: 0..9223372036854775806" },
	{ SOURCES, "{ name = \"s-%d\"; count = 0; address = \"s-%d:5684\"; }",
	  "t.conf:2: pools[0].backends[0].count: 0 is out of range; accepted: 1..1024" },
	{ SOURCES, "{ name = \"s-%d\"; count = 1025; address = \"s-%d:5684\"; }",
	  "t.conf:2: pools[0].backends[0].count: 1025 is out of range; accepted: 1..1024" },
	{ SOURCES, "{ " SET "id = 1; address = \"s-%d:5684\"; }",
	  "t.conf:2: pools[0].backends[0].id: a numbered set has id_base instead, the id of its number 0" },
	{ SOURCES, "{ name = \"a\"; id = 1; id_base = 1; address = \"a:5684\"; }",
	  "t.conf:2: pools[0].backends[0].id_base: belongs to a numbered set; add count, or say id" },
	{ SOURCES, "{ name = \"s-%d\"; id = 1; address = \"s-%d:5684\"; }",
	  "t.conf:2: pools[0].backends[0].count: missing: \"s-%d\" names a numbered set" },
	{ SOURCES, "{ name = \"s\"; count = 2; address = \"s-%d:5684\"; }",
	  "t.conf:2: pools[0].backends[0].name: \"s\": in a numbered set it has one %d and no other '%'" },
	{ SOURCES, "{ name = \"s-%d-%d\"; count = 2; address = \"s:5684\"; }",
	  "t.conf:2: pools[0].backends[0].name: \"s-%d-%d\": in a numbered set it has one %d and no other '%'\n"
	  "t.conf:2: pools[0].backends[0].address: \"s:5684\": in a numbered set it has one %d and no other '%'" },
	{ SOURCES, "{ name = \"s-%s\"; count = 2; address = \"%%d:5684\"; }",
	  "t.conf:2: pools[0].backends[0].name: \"s-%s\": in a numbered set it has one %d and no other '%'\n"
	  "t.conf:2: pools[0].backends[0].address: \"%%d:5684\": in a numbered set it has one %d and no other '%'" },
	{ SOURCES, "{ name = \"s-%d/\"; count = 2; address = \"s-%d:5684\"; }",
	  "t.conf:2: pools[0].backends[0].name: \"s-0/\" is no name; accepted: 1..63 letters, digits, '.', '_', '-'" },
	{ SOURCES, "{ name = \"" LABEL_60 "ab%d\"; count = 10; address = \"s-%d:5684\"; }", "" },
	{ SOURCES, "{ name = \"" LABEL_60 "ab%d\"; count = 11; address = \"s-%d:5684\"; }",
	  "t.conf:2: pools[0].backends[0].name: \"abcdefghijklmnopqrstuvwxyz0123456789-_abcdefghijklmnopqrst...\" is "
	  "no name; accepted: "
	  "1..63 letters, digits, '.', '_', '-'" },
	{ "", "{ name = \"s-%d\"; count = 256; address = \"127.0.0.%d:6001\"; }", "" },
	{ "", "{ name = \"s-%d\"; count = 7; address = \"127.0.0.25%d:5684\"; }",
	  "t.conf:2: pools[0].backends[0].address: \"127.0.0.256:5684\"" NO_ADDRESS },
	{ "", "{ name = \"s-%d\"; count = 2; address = \"127.0.0.1:%d\"; }",
	  "t.conf:2: pools[0].backends[0].address: \"127.0.0.1:0\"" NO_PORT },
	{ "", "{ name = \"s-%d\"; count = 2; address = \"0.0.0.%d:1\"; }",
	  "t.conf:2: pools[0].backends[0].address: \"0.0.0.0:1\"" NOT_OWN },
	/* against others: indices are of the file's entries */
	{ SOURCES, "{ name = \"s-1\"; id = 2; address = \"a:1\"; }, { " SET "address = \"s-%d:5684\"; }",
	  "t.conf:2: pools[0].backends[1].name: \"s-1\" is already the name of backends[0]\n"
	  "t.conf:2: pools[0].backends[1].id_base: number 2 gets the id of backends[0]" },
	{ SOURCES, "{ " SET "address = \"s-%d:5684\"; }, { name = \"s-2\"; id = 2; address = \"a:1\"; }",
	  "t.conf:2: pools[0].backends[1].name: \"s-2\" is already the name of backends[0]\n"
	  "t.conf:2: pools[0].backends[1].id: already the id of backends[0]" },
	{ SOURCES, "{ " SET "address = \"s-%d:5684\"; }, { name = \"s-3\"; id = 3; address = \"a:1\"; }", "" },
	/* ids of others */
	{ SOURCES, "{ name = \"a\"; id = 1; address = \"a:1\"; may_claim = ( 2, 256, \"0\", 2.5 ); }",
	  "t.conf:2: pools[0].backends[0].may_claim[1]: 256 does not fit size 1; accepted: 0..255\n"
	  "t.conf:2: pools[0].backends[0].may_claim[2]: \"0\" does not fit size 1; accepted: 2 hex digits\n"
	  "t.conf:2: pools[0].backends[0].may_claim[3]: not a server id; accepted: a number or 2 hex digits in "
	  "quotes" },
	{ SOURCES, "{ name = \"a\"; id = 1; address = \"a:1\"; may_claim = \"all\"; }",
	  "t.conf:2: pools[0].backends[0].may_claim: accepted: [ server ids ], or \"any\" for servers that trust each "
	  "other" },
	{ SOURCES, "{ name = \"a\"; id = 1; address = \"a:1\"; may_claim = 2; }",
	  "t.conf:2: pools[0].backends[0].may_claim: accepted: [ server ids ], or \"any\" for servers that trust each "
	  "other" },
	{ SOURCES, "{ name = \"a\"; id = 1; address = \"a:1\"; may_claim = [ ]; }",
	  "t.conf:2: pools[0].backends[0].may_claim: 0 entries; accepted: 1..256" },
	/* sources */
	{ "", "{ name = \"a\"; id = 1; address = \"127.0.0.1:1\"; }, { name = \"b\"; id = 2; address = \"b:1\"; }",
	  "t.conf:1: pools[0].nat: no sources, and the name of backends[1] does not tell them; give an address of this "
	  "host or a prefix" },
	{ "nat = { };", "{ " SET "address = \"s-%d:5684\"; }, { name = \"b\"; id = 9; address = \"b:1\"; }",
	  "t.conf:1: pools[0].nat.sources: no sources, and the name of backends[0] does not tell them; give an address "
	  "of this host or a "
	  "prefix" },
	{ SOURCES, "{ " SET "address = \"s-%d:5684\"; }, { name = \"b\"; id = 9; address = \"10.0.0.1:1\"; }",
	  "t.conf:1: pools[0].nat.sources: 127.64.0.0/10 is on loopback, backends[1] is not" },
	{ SOURCES, "{ " SET "address = \"s-%d:5684\"; }, { name = \"b\"; id = 9; address = \"[::1]:1\"; }",
	  "t.conf:1: pools[0].nat.sources: no source is IPv6, as backends[1] at [::1]:1 needs" },
	{ "nat = { sources = [ \"fd00::/112\" ]; max_flows = 524289; };",
	  "{ name = \"a\"; id = 1; address = \"a:1\"; }",
	  "t.conf:1: pools[0].nat.max_flows: 524289 flows need as many endpoints; sources and ports give 524288" },
	{ "nat = { sources = [ \"10.0.0.0/30\", \"fd00::/64\" ]; max_flows = 33; };",
	  "{ name = \"a\"; id = 1; address = \"a:1\"; }",
	  "t.conf:1: pools[0].nat.max_flows: 33 flows need as many endpoints; sources and ports give 32" },
	{ "nat = { sources = [ \"10.0.0.1\" ]; ports = \"20000-20099\"; max_flows = 301; };",
	  "{ " SET "address = \"s-%d:5684\"; }",
	  "t.conf:1: pools[0].nat.max_flows: 301 flows need as many endpoints; sources and ports give 300" },
};

START_TEST(mistake)
{
	expect_errors(compose(mistakes[_i].pool, mistakes[_i].backends), mistakes[_i].errors);
}
END_TEST

START_TEST(numbered_set)
{
	struct conf *conf =
		load_good(SOURCES, "{ name = \"a\"; id = 1; address = \"127.0.0.1:6001\"; },"
				   "{ name = \"lwm2m-%d\"; count = 12; id_base = 7; address = \"lwm2m-%d.lwm2m:5684\";"
				   "  weight = 9; state = \"drain\"; },"
				   "{ name = \"b%d\"; count = 2; id_base = 99; address = \"127.0.0.1:600%d\"; }");
	const struct conf_pool *pool = conf->pools;
	const struct conf_backend *first = &pool->backends[1], *last = &pool->backends[12],
				  *literal = &pool->backends[14];
	char text[ADDR_TEXT_OCTETS];

	ck_assert_uint_eq(pool->backend_count, 15);
	ck_assert_str_eq(first->name, "lwm2m-0");
	ck_assert_str_eq(first->host, "lwm2m-0.lwm2m");
	ck_assert_uint_eq(first->id.octets[0], 7);
	ck_assert_str_eq(last->name, "lwm2m-11");
	ck_assert_str_eq(last->host, "lwm2m-11.lwm2m");
	ck_assert_uint_eq(last->addr.port, 5684);
	ck_assert(last->has_id);
	ck_assert_uint_eq(last->id.octets[0], 18);
	ck_assert_uint_eq(last->weight, 9);
	ck_assert_int_eq(last->admin, BACKEND_DRAIN);
	ck_assert_uint_eq(last->entry, 1);
	ck_assert_str_eq(literal->name, "b1");
	ck_assert_ptr_null(literal->host);
	ck_assert_str_eq(addr_format(&literal->addr, text), "127.0.0.1:6001");
	ck_assert_uint_eq(literal->id.octets[0], 100);
	ck_assert_uint_eq(literal->weight, 100);
	ck_assert_uint_eq(literal->entry, 2);
	conf_free(conf);
}
END_TEST

START_TEST(claims_of_other_ids)
{
	struct conf *conf =
		load_good(SOURCES, "{ name = \"a\"; id = 1; address = \"a:1\"; },"
				   "{ name = \"b\"; id = 2; address = \"b:1\"; may_claim = \"any\"; },"
				   "{ name = \"c-%d\"; count = 2; id_base = 3; address = \"c-%d:1\";"
				   "  may_claim = [ 255, 1, 2, 1 ]; },"
				   "{ name = \"d\"; id = 9; address = \"d:1\"; may_claim = ( \"ff\", 0 ); }");
	const struct conf_backend *all = conf->pools[0].backends;

	ck_assert(!all[0].may_claim_any && all[1].may_claim_any);
	ck_assert_uint_eq(all[0].may_claim_count, 0);
	ck_assert_uint_eq(all[1].may_claim_count, 0);
	for (int i = 2; i < 4; i++) { /* sorted, each once, and each backend has its own */
		ck_assert_uint_eq(all[i].may_claim_count, 3);
		ck_assert_uint_eq(all[i].may_claim[0].octets[0], 1);
		ck_assert_uint_eq(all[i].may_claim[1].octets[0], 2);
		ck_assert_uint_eq(all[i].may_claim[2].octets[0], 255);
		ck_assert_uint_eq(all[i].may_claim[2].len, 1);
	}
	ck_assert_ptr_ne(all[2].may_claim, all[3].may_claim);
	ck_assert_uint_eq(all[4].may_claim_count, 2);
	ck_assert_uint_eq(all[4].may_claim[1].octets[0], 255);
	conf_free(conf);
}
END_TEST

START_TEST(sets_beyond_the_most)
{
	static char text[1024];

	for (int count = 24; count <= 25; count++) {
		snprintf(text, sizeof text,
			 "hash_key = \"000102030405060708090a0b0c0d0e0f\"; user = \"nobody\";\n"
			 "listeners = ( { name = \"l\"; address = \"127.0.0.1:5684\"; pool = \"p\"; } );\n"
			 "pools = ( { name = \"p\"; protocol = \"udp\"; backends = (\n"
			 "{ name = \"a%%d\"; count = 1000; address = \"127.0.0.1:1%%d\"; },\n"
			 "{ name = \"b%%d\"; count = %d; address = \"127.0.0.1:2%%d\"; } ); } );",
			 count);
		expect_errors(text,
			      count == 24
				      ? ""
				      : "t.conf:3: pools[0].backends: numbered sets make it more than 1024 backends");
	}
}
END_TEST

/* The family of the sources is asked for. */
START_TEST(family)
{
	static const struct {
		const char *sources;
		bool v6;
	} cases[] = { { "127.64.0.0/10", false },
		      { "fd00::/64", true },
		      { "fd00::1", true },
		      { "fd00::/64\", \"127.64.0.0/10", false } };
	char pool[128];

	for (int i = 0; i < COUNT_OF(cases); i++) {
		snprintf(pool, sizeof pool, "nat = { sources = [ \"%s\" ]; };", cases[i].sources);
		struct conf *conf = load_good(pool, "{ name = \"a\"; id = 1; address = \"a:1\"; }");
		ck_assert_msg(conf_pool_asks_v6(conf->pools) == cases[i].v6, "%s", cases[i].sources);
		conf_free(conf);
	}
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_unchecked_fixture(tests, conf_dir_enter, conf_dir_leave);
	tcase_add_loop_test(tests, address, 0, COUNT_OF(addresses));
	tcase_add_loop_test(tests, mistake, 0, COUNT_OF(mistakes));
	tcase_add_test(tests, numbered_set);
	tcase_add_test(tests, claims_of_other_ids);
	tcase_add_test(tests, sets_beyond_the_most);
	tcase_add_test(tests, family);
}
