/* Pools with forward = "tunnel". */
#include "tests/fixtures/conf_fixture.h"
#include "tests/unit/suite.h"

#define KEY   "000102030405060708090a0b0c0d0e0f"
#define KEY_2 "101112131415161718191a1b1c1d1e1f"
#define KEY_3 "202122232425262728292a2b2c2d2e2f"

#define TOP         "hash_key = \"" KEY "\"; user = \"nobody\"; workers = 4;\n"
#define ONE_KEY     "keys = ( { id = 1; key = \"" KEY "\"; } );"
#define TUNNEL(all) "tunnel = { " all " };"
#define LOCAL(addr) "local = \"" addr "\";"
#define GOOD        TUNNEL(LOCAL("10.0.0.2:7200") ONE_KEY)
#define BACKEND     "{ name = \"a\"; address = \"10.0.0.3:6001\"; }"
#define POOL(name_, tunnel, backends_)                                                                                 \
	"{ name = \"" name_ "\"; protocol = \"udp\"; forward = \"tunnel\"; " tunnel "\nbackends = ( " backends_ " ); " \
	"}"
#define LISTENER(name_, addr, pool_) "{ name = \"" name_ "\"; address = \"" addr "\"; pool = \"" pool_ "\"; }"

/* Line 1 is the top, 2 the listeners, 3 the first pool, 4 its backends. */
#define FILE_OF(listeners_, pools_) TOP "listeners = ( " listeners_ " );\npools = ( " pools_ " );\n"
#define WITH(tunnel)                FILE_OF(LISTENER("l", "10.0.0.2:5684", "p"), POOL("p", tunnel, BACKEND))
#define WITH_BACKENDS(addr, all)                                                                                       \
	FILE_OF(LISTENER("l", "10.0.0.2:5684", "p"), POOL("p", TUNNEL(LOCAL(addr) ONE_KEY), all))
#define DIRECT(local, listeners_)                                                                                      \
	FILE_OF(listeners_, POOL("p", TUNNEL(LOCAL(local) ONE_KEY "reply = \"direct\";"), BACKEND))
#define DTLS(cid)                                                                                                      \
	FILE_OF(LISTENER("l", "10.0.0.9:6001", "p"),                                                                   \
		"{ name = \"p\"; forward = \"tunnel\"; " cid TUNNEL(                                                   \
			LOCAL("10.0.0.2:7200") ONE_KEY "reply = \"direct\";") "backends = ( " BACKEND " ); }")
#define TWO(listeners_, first, second)                                                                                 \
	FILE_OF(LISTENER("l", "10.0.0.2:5684", "p") "," LISTENER("m", listeners_, "q"), first ",\n" second)

static const struct {
	const char *text, *errors; /* "": accepted */
} cases[] = {
	{ WITH(GOOD), "" },
	{ WITH(""), "f.conf:3: pools[0].tunnel: missing: forward = \"tunnel\" needs its local address and keys" },
	{ WITH("tunnel = 1;"), "f.conf:3: pools[0].tunnel: not a group { ... }" },
	{ WITH(TUNNEL("")), "f.conf:3: pools[0].tunnel.local: missing\nf.conf:3: pools[0].tunnel.keys: missing" },
	{ WITH(TUNNEL(LOCAL("10.0.0.2:7200") ONE_KEY "key = 1;")),
	  "f.conf:3: pools[0].tunnel.key: unknown; did you mean \"keys\"?" },
	/* local */
	{ WITH(TUNNEL(LOCAL("10.0.0.2") ONE_KEY)), "f.conf:3: pools[0].tunnel.local: \"10.0.0.2\": the port is "
						   "missing; accepted: A.B.C.D:PORT, [IPV6]:PORT" },
	{ WITH(TUNNEL(LOCAL("0.0.0.0:7200") ONE_KEY)),
	  "f.conf:3: pools[0].tunnel.local: not an address that servers can answer to; give one of this host" },
	{ WITH(TUNNEL(LOCAL("239.0.0.1:7200") ONE_KEY)), "f.conf:3: pools[0].tunnel.local: \"239.0.0.1:7200\" is a "
							 "multicast or broadcast address, from which nobody can "
							 "be answered; accepted: one of this host" },
	{ WITH(TUNNEL(LOCAL("[fe80::2%lo]:7200") ONE_KEY)), "f.conf:3: pools[0].tunnel.local: not an address that "
							    "servers can answer to; give one of this host that is not "
							    "of a link" },
	{ WITH(TUNNEL(LOCAL("[::]:7200") ONE_KEY)),
	  "f.conf:3: pools[0].tunnel.local: not an address that servers can answer to; give one of this host" },
	{ WITH(TUNNEL(LOCAL("10.0.0.2:65531") ONE_KEY)), "" },
	{ WITH(TUNNEL(LOCAL("10.0.0.2:65532") ONE_KEY)), "f.conf:3: pools[0].tunnel.local: 4 workers and the probes "
							 "have a port each; accepted: ports up to 65531" },
	{ WITH(TUNNEL(LOCAL("[fd00::2]:7200") ONE_KEY)),
	  "f.conf:3: pools[0].tunnel.local: IPv6, but backends[0] at 10.0.0.3:6001 is IPv4" },
	{ WITH_BACKENDS("10.0.0.2:7200", BACKEND ", { name = \"b\"; address = \"[fd00::3]:6001\"; }"),
	  "f.conf:3: pools[0].tunnel.local: IPv4, but backends[1] at [fd00::3]:6001 is IPv6" },
	{ WITH_BACKENDS("[fd00::2]:7200", "{ name = \"b\"; address = \"[fd00::3]:6001\"; }"), "" },
	{ WITH_BACKENDS("127.0.0.1:7200", "{ name = \"b\"; address = \"127.0.0.9:6001\"; }"), "" },
	{ WITH_BACKENDS("10.0.0.2:7200", "{ name = \"b\"; address = \"127.0.0.9:6001\"; }"), "" },
	{ WITH_BACKENDS("10.0.0.2:7200", "{ name = \"b\"; address = \"coap.example:6001\"; }"), "" },
	{ WITH_BACKENDS("127.0.0.1:7200", BACKEND),
	  "f.conf:3: pools[0].tunnel.local: on loopback, where backends[0] at 10.0.0.3:6001 cannot answer" },
	{ WITH_BACKENDS("[::1]:7200", "{ name = \"b\"; address = \"[fd00::3]:6001\"; }"),
	  "f.conf:3: pools[0].tunnel.local: on loopback, where backends[0] at [fd00::3]:6001 cannot answer" },
	/* reply */
	{ WITH(TUNNEL(LOCAL("10.0.0.2:7200") ONE_KEY "reply = \"node\";")), "" },
	{ WITH(TUNNEL(LOCAL("10.0.0.2:7200") ONE_KEY "reply = \"lo\";")),
	  "f.conf:3: pools[0].tunnel.reply: \"lo\" is unknown; accepted: node, direct" },
	{ DIRECT("10.0.0.2:7200", LISTENER("l", "10.0.0.9:6001", "p")), "" },
	{ DIRECT("10.0.0.2:7200", LISTENER("l", "[fd00::9]:6001", "p")), "" },
	{ DIRECT("10.0.0.2:7200", LISTENER("l", "10.0.0.9:5684", "p")),
	  "f.conf:4: pools[0].backends[0].address: port 6001: with tunnel.reply = \"direct\" servers answer from their "
	  "own port, and devices expect that of listeners[0]; accepted: 5684" },
	{ DIRECT("10.0.0.2:7200", LISTENER("l", "10.0.0.9:6001", "p") "," LISTENER("m", "10.0.0.9:6002", "p")),
	  "f.conf:4: pools[0].backends[0].address: port 6001: with tunnel.reply = \"direct\" servers answer from their "
	  "own port, and devices expect that of listeners[1]; accepted: 6002" },
	{ DIRECT("10.0.0.2:7200", LISTENER("l", "0.0.0.0:6001", "p")),
	  "f.conf:2: listeners[0].address: 0.0.0.0:6001: with tunnel.reply = \"direct\" the servers answer from the "
	  "service address, so it cannot be every address of this host; give the one that they have on lo" },
	{ DIRECT("10.0.0.2:7200", LISTENER("l", "127.0.0.9:6001", "p")),
	  "f.conf:2: listeners[0].address: 127.0.0.9:6001: servers cannot answer devices from it; give an address that "
	  "is routed" },
	{ DTLS(""), "f.conf:3: pools[0].cid: CIDs are learned from servers' answers, which do not pass cidlb with "
		    "tunnel.reply = \"direct\"; accepted: cid = { scheme = \"node-id\"; … }, \"quic-lb\", \"hash\" or "
		    "\"none\"" },
	{ DTLS("cid = { scheme = \"node-id\"; length = 6; };"),
	  "f.conf:3: pools[0].backends[0].id: missing: scheme \"node-id\" needs one for each backend" },
	/* keys: distinct ids within a pool; what other pools have does not matter */
	{ WITH(TUNNEL(LOCAL("10.0.0.2:7200") "keys = ( );")),
	  "f.conf:3: pools[0].tunnel.keys: 0 entries; accepted: 1..2" },
	{ WITH(TUNNEL(LOCAL("10.0.0.2:7200") "keys = ( { id = 0; key = \"" KEY "\"; }, { id = 255; key = \"" KEY_2
					     "\"; } );")),
	  "" },
	{ WITH(TUNNEL(LOCAL("10.0.0.2:7200") "keys = ( { id = 0; key = \"" KEY "\"; }, { id = 1; key = \"" KEY_2
					     "\"; }, { id = 2; key = \"" KEY_3 "\"; } );")),
	  "f.conf:3: pools[0].tunnel.keys: 3 entries; accepted: 1..2" },
	{ WITH(TUNNEL(LOCAL("10.0.0.2:7200") "keys = ( { id = 7; key = \"" KEY "\"; }, { id = 7; key = \"" KEY_2
					     "\"; } );")),
	  "f.conf:3: pools[0].tunnel.keys[1].id: already the id of keys[0]" },
	{ WITH(TUNNEL(LOCAL("10.0.0.2:7200") "keys = ( { } );")),
	  "f.conf:3: pools[0].tunnel.keys[0].id: missing; accepted: 0..255\nf.conf:3: pools[0].tunnel.keys[0].key: "
	  "missing" },
	{ WITH(TUNNEL(LOCAL("10.0.0.2:7200") "keys = ( \"" KEY "\" );")),
	  "f.conf:3: pools[0].tunnel.keys[0]: not a group { ... }" },
	{ WITH(TUNNEL(LOCAL("10.0.0.2:7200") "keys = ( { id = 256; key = \"" KEY "\"; } );")),
	  "f.conf:3: pools[0].tunnel.keys[0].id: 256 is out of range; accepted: 0..255" },
	{ WITH(TUNNEL(LOCAL("10.0.0.2:7200") "keys = ( { id = -1; key = \"" KEY "\"; } );")),
	  "f.conf:3: pools[0].tunnel.keys[0].id: -1 is out of range; accepted: 0..255" },
	{ WITH(TUNNEL(LOCAL("10.0.0.2:7200") "keys = ( { id = 1; key = \"00\"; } );")),
	  "f.conf:3: pools[0].tunnel.keys[0].key: not 32 hex digits nor \"@FILE\"; make one with: openssl rand -hex "
	  "16" },
	{ WITH(TUNNEL(LOCAL("10.0.0.2:7200") "keys = ( { id = 1; key = \"@none.key\"; } );")),
	  "f.conf:3: pools[0].tunnel.keys[0].key: \"none.key\": No such file or directory" },
	{ TWO("10.0.0.2:5685", POOL("p", GOOD, BACKEND), POOL("q", TUNNEL(LOCAL("10.0.0.2:7205") ONE_KEY), BACKEND)),
	  "" },
	{ TWO("10.0.0.2:5685", POOL("p", GOOD, BACKEND),
	      POOL("q",
		   TUNNEL(LOCAL("10.0.0.2:7205") "keys = ( { id = 1; key = \"" KEY_2 "\"; }, { id = 2; key = \"" KEY
						 "\"; } );"),
		   BACKEND)),
	  "" },
	/* ports */
	{ TWO("10.0.0.2:5685", POOL("p", GOOD, BACKEND),
	      POOL("q", TUNNEL(LOCAL("10.0.0.2:7205") "keys = ( { id = 1; key = \"" KEY_2 "\"; } );"), BACKEND)),
	  "" },
	{ TWO("10.0.0.2:5685", POOL("p", GOOD, BACKEND),
	      POOL("q", TUNNEL(LOCAL("10.0.0.2:7204") "keys = ( { id = 1; key = \"" KEY_2 "\"; } );"), BACKEND)),
	  "f.conf:5: pools[1].tunnel.local: 7204-7208 has ports of pools[0].tunnel, 7200-7204: one per worker, one for "
	  "probes" },
	{ TWO("10.0.0.2:5685", POOL("p", GOOD, BACKEND),
	      POOL("q", TUNNEL(LOCAL("10.0.0.1:7204") "keys = ( { id = 1; key = \"" KEY_2 "\"; } );"), BACKEND)),
	  "" },
	{ FILE_OF(LISTENER("l", "10.0.0.2:7204", "p"), POOL("p", GOOD, BACKEND)),
	  "f.conf:3: pools[0].tunnel.local: 7200-7204 has the port of listeners[0], 10.0.0.2:7204" },
	{ FILE_OF(LISTENER("l", "10.0.0.2:7205", "p"), POOL("p", GOOD, BACKEND)), "" },
	{ FILE_OF(LISTENER("l", "10.0.0.1:7204", "p"), POOL("p", GOOD, BACKEND)), "" },
	{ FILE_OF(LISTENER("l", "0.0.0.0:7200", "p"), POOL("p", GOOD, BACKEND)),
	  "f.conf:3: pools[0].tunnel.local: 7200-7204 has the port of listeners[0], 0.0.0.0:7200" },
	{ FILE_OF(LISTENER("l", "[::]:7200", "p"), POOL("p", GOOD, BACKEND)), "" },
	/* beside a pool of mode nat, before it or after it */
	{ TWO("10.0.0.2:5685", POOL("p", GOOD, BACKEND),
	      "{ name = \"q\"; protocol = \"udp\"; nat = { sources = [ \"10.64.0.0/16\" ]; ports = \"7204\"; max_flows "
	      "= 100; }; backends "
	      "= ( " BACKEND " ); }"),
	  "f.conf:3: pools[0].tunnel.local: 7200-7204 has ports of pools[1].nat, 7204-7204" },
	{ TWO("10.0.0.2:5685",
	      "{ name = \"p\"; protocol = \"udp\"; nat = { sources = [ \"10.0.0.2\" ]; ports = \"7204-7400\"; };\n "
	      "backends = ( " BACKEND " ); }",
	      POOL("q", GOOD, BACKEND)),
	  "f.conf:5: pools[1].tunnel.local: 7200-7204 has ports of pools[0].nat, 7204-7400" },
	{ TWO("10.0.0.2:5685", POOL("p", GOOD, BACKEND),
	      "{ name = \"q\"; protocol = \"udp\"; nat = { sources = [ \"10.0.0.7\" ]; ports = \"7204-7400\"; }; "
	      "backends = ( " BACKEND " ); }"),
	  "" },
	{ TWO("10.0.0.2:5685", POOL("p", GOOD, BACKEND),
	      "{ name = \"q\"; protocol = \"udp\"; nat = { sources = [ \"fd64::/64\" ]; ports = \"7204\"; max_flows = "
	      "100; };\nbackends = "
	      "( { name = \"a\"; "
	      "address = \"[fd00::3]:6001\"; } ); }"),
	  "" },
};

START_TEST(mistakes)
{
	struct conf_report report = { 0 };
	struct conf *conf = parse_text("f.conf", cases[_i].text, &report);

	ck_assert_str_eq(join_lines(report.errors, report.error_count), cases[_i].errors);
	ck_assert_int_eq(conf != NULL, !*cases[_i].errors);
	ck_assert_str_eq(join_lines(report.warnings, report.warning_count), "");
	conf_free(conf);
	conf_report_free(&report);
}
END_TEST

START_TEST(values)
{
	static const char text[] =
		FILE_OF(LISTENER("l", "[::]:5684", "p"),
			POOL("p",
			     TUNNEL(LOCAL("[fd00::2]:7200") "keys = ( { id = 9; key = \"" KEY_2 "\"; }, "
							    "{ id = 0; key = \"" KEY "\"; } );"),
			     "{ name = \"b\"; address = \"coap.example:6001\"; }"));
	static const uint8_t octets[16] = { 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
					    0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f };
	const struct siphash_key key = siphash_key_load(octets);
	struct conf *conf = load_text(&(struct conf_report){ 0 }, text);
	const struct conf_pool *pool = &conf->pools[0];
	char addr[ADDR_TEXT_OCTETS];

	ck_assert_int_eq(pool->forward, FORWARD_TUNNEL);
	ck_assert_str_eq(addr_format(&pool->tunnel.local, addr), "[fd00::2]:7200");
	ck_assert_uint_eq(pool->tunnel.keys.count, 2);
	ck_assert_uint_eq(pool->tunnel.keys.keys[0].id, 9);
	ck_assert_uint_eq(pool->tunnel.keys.keys[1].id, 0);
	ck_assert_mem_eq(&pool->tunnel.keys.keys[0].key, &key, sizeof key);
	ck_assert(conf_pool_asks_v6(pool));
	ck_assert_uint_eq(pool->nat.source_count, 0);
	conf_free(conf);
}
END_TEST

START_TEST(settings_of_the_other_mode)
{
	expect_warnings(WITH(GOOD "nat = { ports = \"1\"; };"),
			"t.conf:3: pools[0].nat: no effect with forward = \"tunnel\"");
	expect_warnings(TOP "listeners = ( " LISTENER(
				"l", "127.0.0.1:5684",
				"p") " );\n"
				     "pools = ( { name = \"p\"; protocol = \"udp\"; " TUNNEL(
					     "") "backends = ( { name = \"a\"; address = \"127.0.0.1:6001\"; } ); } );",
			"t.conf:3: pools[0].tunnel: no effect with forward = \"nat\"");
}
END_TEST

START_TEST(keys_are_secrets)
{
	static const char inline_[] =
		": others can access this file; chmod o-rwx it, or put the key into a file of its own: \"@FILE\"";
	char both[512];
	struct conf_report report;

	write_file(FILE_NAME, 0644, WITH(GOOD));
	conf_free(conf_load(FILE_NAME, &report));
	snprintf(both, sizeof both, "t.conf:1: hash_key%s\nt.conf:3: pools[0].tunnel.keys[0].key%s", inline_, inline_);
	ck_assert_str_eq(join_lines(report.errors, report.error_count), both);
	conf_report_free(&report);
	write_file("k.key", 0644, KEY);
	expect_errors(WITH(TUNNEL(LOCAL("10.0.0.2:7200") "keys = ( { id = 1; key = \"@k.key\"; } );")),
		      "t.conf:3: pools[0].tunnel.keys[0].key: \"k.key\": others can access it; chmod o-rwx it");
	write_file("k.key", 0600, KEY "\n");
	expect_errors(WITH(TUNNEL(LOCAL("10.0.0.2:7200") "keys = ( { id = 1; key = \"@k.key\"; } );")), "");
	unlink("k.key");
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_unchecked_fixture(tests, conf_dir_enter, conf_dir_leave);
	tcase_add_loop_test(tests, mistakes, 0, COUNT_OF(cases));
	tcase_add_test(tests, values);
	tcase_add_test(tests, settings_of_the_other_mode);
	tcase_add_test(tests, keys_are_secrets);
}
