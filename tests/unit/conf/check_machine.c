/* What a configuration takes from the host: the same text on hosts that differ. */
#include <errno.h>

#include "tests/fixtures/conf_fixture.h"
#include "tests/unit/suite.h"

#define FILE_OF(listener, pool)                                                                                        \
	"user = \"nobody\"; hash_key = \"" KEY "\";\nlisteners = ( { name = \"l\"; address = \"" listener              \
	"\"; pool = \"p\"; } );\n"                                                                                     \
	"pools = ( " pool " );\n"
#define KEY              "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e"
#define POOL(more, list) "{ name = \"p\"; protocol = \"udp\"; " more " backends = ( " list " ); }"
#define V4               "{ name = \"a\"; address = \"10.0.0.3:6001\"; }"
#define V6               "{ name = \"b\"; address = \"[fd00::3]:6001\"; }"
#define V4_B             "{ name = \"c\"; address = \"10.0.0.4:6001\"; }"
#define LOCAL            "{ name = \"a\"; address = \"127.0.0.1:6001\"; }"
#define TUNNEL(port)                                                                                                   \
	"forward = \"tunnel\"; tunnel = { local = \"10.0.0.1:" port "\"; keys = ( { id = 1; key = \"" KEY "\"; } ); "  \
	"};"

static unsigned asked;

static int routed(const struct addr *to, struct addr *out)
{
	asked++;
	return addr_parse_ip(out, addr_is_v4(to) ? "10.0.0.9" : "fd00::9");
}

static int unrouted(const struct addr *to, struct addr *out)
{
	(void)to;
	(void)out;
	return -ENETUNREACH;
}

static int only_v4(const struct addr *to, struct addr *out)
{
	return addr_is_v4(to) ? routed(to, out) : -ENETUNREACH;
}

static bool nowhere(const struct addr *addr)
{
	(void)addr;
	return false;
}

/* 10.64.0.0/16, and the addresses 10.0.0.9 and fd00::9. */
static bool has_some(const struct addr *first, uint8_t bits)
{
	static const char *const alone[] = { "10.0.0.9", "fd00::9" };
	struct addr addr;

	for (size_t i = 0; i < 2; i++)
		if (addr_parse_ip(&addr, alone[i]) == 0 && addr_equal(&addr, first))
			return bits == (addr_is_v4(first) ? 32 : 128);
	return addr_is_v4(first) && first->ip[12] == 10 && first->ip[13] == 64 && bits >= 16;
}

static struct conf *parse_on(const struct conf_machine *machine, const char *text, const char *errors)
{
	struct conf_report report = { 0 };
	struct conf *conf = conf_parse(&(struct conf_source){ .file = "f.conf", .text = text }, machine, &report);

	ck_assert_str_eq(join_lines(report.errors, report.error_count), errors);
	ck_assert_int_eq(conf != NULL, !*errors);
	conf_report_free(&report);
	return conf;
}

static const struct conf_machine roomy = { .cpus = 3,
					   .descriptors = UINT64_MAX,
					   .source_towards = routed,
					   .is_here = nowhere,
					   .has_prefix = has_all_prefixes };

/* One of each family, each asked for once, with the ports of single addresses. */
START_TEST(sources_of_the_host)
{
	struct conf *conf = parse_on(&roomy, FILE_OF("10.0.0.2:5684", POOL("", V4 ", " V6 ", " V4_B)), "");
	const struct conf_nat *nat = &conf->pools[0].nat;
	char text[ADDR_TEXT_OCTETS];

	ck_assert_uint_eq(asked, 2);
	ck_assert(nat->single);
	ck_assert_uint_eq(nat->source_count, 2);
	ck_assert_str_eq(addr_format(&nat->sources[0].addr, text), "10.0.0.9");
	ck_assert_uint_eq(nat->sources[0].bits, 32);
	ck_assert_str_eq(addr_format(&nat->sources[1].addr, text), "fd00::9");
	ck_assert_uint_eq(nat->sources[1].bits, 128);
	ck_assert_uint_eq(nat->port_first, 20000);
	ck_assert_uint_eq(nat->port_last, 28191);
	conf_free(conf);
}
END_TEST

/* All of the file and loopback: the host is not asked. */
START_TEST(sources_of_the_file)
{
	conf_free(parse_on(&roomy, FILE_OF("127.0.0.1:5684", POOL("", LOCAL)), ""));
	conf_free(parse_on(&roomy, FILE_OF("10.0.0.2:5684", POOL("nat = { sources = [ \"10.0.0.1\" ]; };", V4)), ""));
	ck_assert_uint_eq(asked, 0);
}
END_TEST

START_TEST(no_route)
{
	const struct conf_machine none = { .cpus = 1,
					   .descriptors = UINT64_MAX,
					   .source_towards = unrouted,
					   .is_here = nowhere,
					   .has_prefix = has_all_prefixes };
	const struct conf_machine half = { .cpus = 1,
					   .descriptors = UINT64_MAX,
					   .source_towards = only_v4,
					   .is_here = nowhere,
					   .has_prefix = has_all_prefixes };

	parse_on(
		&none, FILE_OF("10.0.0.2:5684", POOL("", V4)),
		"f.conf:3: pools[0].nat: no sources, and no route to backends[0] at 10.0.0.3:6001 that would tell one; "
		"give an address of this host or a prefix");
	parse_on(&half, FILE_OF("10.0.0.2:5684", POOL("nat = { rebind = \"follow\"; };", V4 ", " V6)),
		 "f.conf:3: pools[0].nat.sources: no sources, and no route to backends[1] at [fd00::3]:6001 that would "
		 "tell one; give an address of this host or a prefix");
}
END_TEST

/* What comes of the host is held against the rest as what comes of the file. */
START_TEST(ports_of_the_host)
{
	parse_on(&roomy, FILE_OF("10.0.0.9:20000", POOL("", V4)),
		 "f.conf:3: pools[0].nat: 20000-28191 has the port of listeners[0], 10.0.0.9:20000");
	conf_free(parse_on(&roomy, FILE_OF("10.0.0.8:20000", POOL("", V4)), ""));
}
END_TEST

START_TEST(workers)
{
	const struct conf_machine wide = { .cpus = 1000,
					   .descriptors = UINT64_MAX,
					   .source_towards = routed,
					   .is_here = nowhere,
					   .has_prefix = has_all_prefixes };
	struct conf *conf = parse_on(&roomy, FILE_OF("127.0.0.1:5684", POOL("", LOCAL)), "");

	ck_assert_uint_eq(conf->workers, 3);
	conf_free(conf);
	conf = parse_on(&wide, FILE_OF("127.0.0.1:5684", POOL("", LOCAL)), "");
	ck_assert_uint_eq(conf->workers, CONF_MAX_WORKERS);
	conf_free(conf);
	conf = parse_on(&wide, "workers = 2; " FILE_OF("127.0.0.1:5684", POOL("", LOCAL)), "");
	ck_assert_uint_eq(conf->workers, 2);
	conf_free(conf);
}
END_TEST

/* The ports of a tunnel are those of its workers. */
START_TEST(tunnel_ports)
{
	conf_free(parse_on(&roomy, FILE_OF("10.0.0.2:5684", POOL(TUNNEL("65532"), V4)), ""));
	parse_on(&roomy, FILE_OF("10.0.0.2:5684", POOL(TUNNEL("65533"), V4)),
		 "f.conf:3: pools[0].tunnel.local: 3 workers and the probes have a port each; accepted: ports up to "
		 "65532");
}
END_TEST

START_TEST(descriptors)
{
	const struct conf_machine few = { .cpus = 1,
					  .descriptors = 1000,
					  .source_towards = routed,
					  .is_here = nowhere,
					  .has_prefix = has_all_prefixes };
	const struct conf_machine enough = { .cpus = 1,
					     .descriptors = 9000,
					     .source_towards = routed,
					     .is_here = nowhere,
					     .has_prefix = has_all_prefixes };

	parse_on(&few, FILE_OF("10.0.0.2:5684", POOL("", V4)),
		 "f.conf:3: pools[0].nat: 20000-28191 may need 8192 descriptors; the limit (ulimit -Hn) leaves "
		 "946");
	conf_free(parse_on(&enough, FILE_OF("10.0.0.2:5684", POOL("", V4)), ""));
}
END_TEST

#define ON(interfaces)                                                                                                 \
	"fast = { interfaces = " interfaces "; };\n" FILE_OF("10.0.0.2:5684", POOL("nat = { sources = [ \"10.0.0.9\" " \
										   "]; };",                            \
										   V4))

static uint32_t two_interfaces(const char *name)
{
	return strcmp(name, "ens3") == 0 ? 3 : strcmp(name, "ens4") == 0 ? 4 : 0;
}

static const struct {
	const char *text, *errors;
} fast[] = {
	{ ON("[ \"ens3\", \"ens4\" ]"), "" },
	{ ON("[ \"ens3\" ]; attach = \"generic\""), "" },
	{ ON("[ ]"), "f.conf:1: fast.interfaces: 0 entries; accepted: 1..8" },
	{ ON("( \"ens5\", 3, \"ens3\", \"ens3\" )"),
	  "f.conf:1: fast.interfaces[0]: \"ens5\": this host has no such interface; `ip link` lists them\n"
	  "f.conf:1: fast.interfaces[1]: not the name of an interface, as in `ip link`\n"
	  "f.conf:1: fast.interfaces[3]: \"ens3\" is there twice" },
	{ ON("[ \"ens3\" ]; attach = \"yes\""),
	  "f.conf:1: fast.attach: \"yes\" is unknown; accepted: auto, native, generic" },
	{ "fast = { attach = \"auto\"; };\n" FILE_OF("10.0.0.2:5684",
						     POOL("nat = { sources = [ \"10.0.0.9\" ]; };", V4)),
	  "f.conf:1: fast.interfaces: missing" },
};

START_TEST(the_fast_path)
{
	struct conf_machine machine = { .cpus = 1,
					.descriptors = UINT64_MAX,
					.has_fast = true,
					.source_towards = routed,
					.is_here = nowhere,
					.has_prefix = has_some,
					.iface = two_interfaces };

	conf_free(parse_on(&machine, fast[_i].text, fast[_i].errors));
	machine.has_fast = false;
	conf_free(parse_on(&machine, fast[_i].text,
			   "f.conf:1: fast: this cidlb was built without the fast path (clang 14 and libbpf 1.1 were "
			   "not there); remove the group, or build it with them"));
}
END_TEST

#define DTLS_POOL(more)                                                                                                \
	"fast = { interfaces = [ \"ens3\" ]; };\n" FILE_OF(                                                            \
		"10.0.0.2:5684", "{ name = \"p\"; cid = { scheme = \"node-id\"; length = 6; }; " more                  \
				 " backends = ( { name = \"a\"; id = 1; address = \"10.0.0.3:5684\"; } ); }")
#define KEYS "keys = ( { id = 1; key = \"" KEY "\"; } ); "

static const struct {
	const char *text;
	bool gains;
} gaining[] = {
	{ DTLS_POOL(""), false },
	{ DTLS_POOL("nat = { sources = [ \"10.0.0.9\" ]; rebind = \"backend\"; };"), true },
	{ DTLS_POOL(TUNNEL("7200")), true },
	{ DTLS_POOL(TUNNEL("7200") " fast = false;"), false },
	{ DTLS_POOL("forward = \"tunnel\"; tunnel = { local = \"10.0.0.1:7200\"; reply = \"direct\"; " KEYS "};"),
	  false },
	{ DTLS_POOL("forward = \"dsr\"; dsr = { encap = \"l2\"; };"), true },
	{ ON("[ \"ens3\" ]"), false },
};

/* -t says where it is of next to no use. */
START_TEST(whom_the_fast_path_serves)
{
	const struct conf_machine machine = { .cpus = 1,
					      .descriptors = UINT64_MAX,
					      .has_fast = true,
					      .source_towards = routed,
					      .is_here = nowhere,
					      .has_prefix = has_some,
					      .iface = two_interfaces };
	const char *text = gaining[_i].text;
	struct conf_report report = { 0 };

	conf_free(conf_parse(&(struct conf_source){ .file = "f.conf", .text = text }, &machine, &report));
	ck_assert_str_eq(join_lines(report.errors, report.error_count), "");
	ck_assert_str_eq(join_lines(report.advice, report.advice_count),
			 gaining[_i].gains ? ""
					   : "f.conf:1: fast: it will only drop what is not DTLS: mode nat with rebind "
					     "= \"follow\", tunnel.reply = \"direct\", protocol = \"udp\" and fast = "
					     "false leave all else to the sockets");
	conf_report_free(&report);
}
END_TEST

/* The sources of loopback are the same on each host that these tests run on. */
START_TEST(here)
{
	const struct conf_machine machine = conf_machine_here();
	struct addr to, source;
	char text[ADDR_TEXT_OCTETS];

	ck_assert_uint_ge(machine.cpus, 1);
	ck_assert_uint_gt(machine.descriptors, 0);
	ck_assert_int_eq(addr_parse(&to, "127.0.0.1:6001"), 0);
	ck_assert_int_eq(machine.source_towards(&to, &source), 0);
	ck_assert_str_eq(addr_format(&source, text), "127.0.0.1");
	ck_assert_uint_eq(source.port, 0);
	ck_assert_int_eq(addr_parse_ip(&to, "127.64.0.0"), 0);
	ck_assert(machine.has_prefix(&to, 10));
	ck_assert_int_eq(addr_parse_ip(&to, "198.51.100.0"), 0);
	ck_assert(!machine.has_prefix(&to, 24));
}
END_TEST

#define SOURCES(sources) FILE_OF("10.0.0.2:5684", POOL("nat = { sources = [ " sources " ]; };", V4 ", " V6))

static const struct {
	const char *text, *errors;
} local[] = {
	{ SOURCES("\"10.64.0.0/16\", \"fd00:64::/64\""), "f.conf:3: pools[0].nat.sources[1]: fd00:64::/64 is not "
							 "routed to this host: ip route add local fd00:64::/64 dev "
							 "lo" },
	{ SOURCES("\"10.64.0.0/15\", \"10.66.0.0/16\", \"fd00:64::/64\""),
	  "f.conf:3: pools[0].nat.sources[0]: 10.64.0.0/15 is not routed to this host: ip route add local 10.64.0.0/15 "
	  "dev lo\n"
	  "f.conf:3: pools[0].nat.sources[1]: 10.66.0.0/16 is not routed to this host: ip route add local 10.66.0.0/16 "
	  "dev lo\n"
	  "f.conf:3: pools[0].nat.sources[2]: fd00:64::/64 is not routed to this host: ip route add local fd00:64::/64 "
	  "dev lo" },
	{ SOURCES("\"10.0.0.9\", \"fd00::9\""), "" },
	{ SOURCES("\"10.0.0.8\", \"fd00::9\""),
	  "f.conf:3: pools[0].nat.sources[0]: 10.0.0.8 is no address of this host" },
	/* The host has told them itself. */
	{ FILE_OF("10.0.0.2:5684", POOL("", V4 ", " V6)), "" },
	{ FILE_OF("10.0.0.2:5684", POOL("nat = { idle_s = 30; };", V4 ", " V6)), "" },
	{ FILE_OF("10.0.0.2:5684", POOL("", LOCAL)), "" },
};

START_TEST(sources_that_are_not_local)
{
	const struct conf_machine machine = { .cpus = 1,
					      .descriptors = UINT64_MAX,
					      .source_towards = routed,
					      .is_here = nowhere,
					      .has_prefix = has_some };

	conf_free(parse_on(&machine, local[_i].text, local[_i].errors));
}
END_TEST

static void setup(void)
{
	asked = 0;
}

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, the_fast_path, 0, COUNT_OF(fast));
	tcase_add_loop_test(tests, whom_the_fast_path_serves, 0, COUNT_OF(gaining));
	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_test(tests, sources_of_the_host);
	tcase_add_test(tests, sources_of_the_file);
	tcase_add_test(tests, no_route);
	tcase_add_test(tests, ports_of_the_host);
	tcase_add_test(tests, workers);
	tcase_add_test(tests, tunnel_ports);
	tcase_add_test(tests, descriptors);
	tcase_add_loop_test(tests, sources_that_are_not_local, 0, COUNT_OF(local));
	tcase_add_test(tests, here);
}
