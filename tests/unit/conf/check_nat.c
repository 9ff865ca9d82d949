/* Mistakes in what a pool says of its sources, ports and flows. */
#include "tests/fixtures/conf_mistakes.h"
#include "tests/unit/suite.h"

static const struct mistake cases[] = {
	{ .pool = CID "nat = { rebind = \"both\"; };",
	  .errors = "t.conf:2: pools[0].nat.rebind: \"both\" is unknown; accepted: follow, backend" },
	{ .pool = CID "nat = { contest = \"own\"; };", .errors = "" },
	{ .pool = CID "nat = { contest = \"home\"; };", .errors = "" },
	/* Servers that take one address only. */
	{ .pool = CID "nat = { endpoint = \"handshake\"; };", .errors = "" },
	{ .pool = CID "nat = { endpoint = \"handshake\"; contest = \"home\"; rebind = \"follow\"; };", .errors = "" },
	{ .pool = CID "nat = { endpoint = \"handshake\"; contest = \"own\"; };",
	  .errors = "t.conf:2: pools[0].nat.contest: \"own\" shows other endpoints than that of the handshake, and "
		    "endpoint = \"handshake\" none; accepted: home" },
	{ .pool = CID "nat = { endpoint = \"handshake\"; rebind = \"backend\"; };",
	  .errors = "t.conf:2: pools[0].nat.rebind: \"backend\" shows each address, and endpoint = \"handshake\" none; "
		    "accepted: follow" },
	{ .pool = CID "nat = { endpoint = \"home\"; };",
	  .errors = "t.conf:2: pools[0].nat.endpoint: \"home\" is unknown; accepted: cid, handshake" },
	{ .pool = CID "nat = { contest = \"away\"; };",
	  .errors = "t.conf:2: pools[0].nat.contest: \"away\" is unknown; accepted: own, home" },
	{ .pool = CID "nat = { unproven_rate = \"1\"; };",
	  .errors = "t.conf:2: pools[0].nat.unproven_rate: not a whole number; accepted: "
		    "0..1000000000 octets a second" },
	{ .pool = CID "nat = { sources = [ ]; };",
	  .errors = "t.conf:2: pools[0].nat.sources: 0 entries; accepted: 1..8" },
	{ .pool = CID "nat = { sources = [ 127 ]; };",
	  .errors = "t.conf:2: pools[0].nat.sources[0]: not a text in quotes" },
	{ .pool = CID "nat = { sources = \"127.64.0.0/10\"; };",
	  .errors = "t.conf:2: pools[0].nat.sources: not a list ( ... ) or [ ... ]" },
	{ .pool = CID "nat = { sources = [ \"127.64.0.1\" ]; };", .errors = "" },
	{ .pool = CID "nat = { sources = [ \"127.64.0.1\", \"fd00::1\" ]; };", .errors = "" },
	{ .pool = CID "nat = { sources = [ \"224.0.0.5\" ]; };",
	  .errors = "t.conf:2: pools[0].nat.sources[0]: \"224.0.0.5\" is no source; accepted: an address of this host, "
		    "or a prefix" },
	{ .pool = CID "nat = { sources = [ \"0.0.0.0\" ]; };",
	  .errors = "t.conf:2: pools[0].nat.sources[0]: \"0.0.0.0\" is no source; accepted: an address of this host, "
		    "or a prefix" },
	{ .pool = CID "nat = { sources = [ \"127.0.0.1\", \"127.0.0.2\" ]; };",
	  .errors = "t.conf:2: pools[0].nat.sources[1]: a second IPv4 address; accepted: one of each family" },
	{ .pool = CID "nat = { sources = [ \"127.0.0.1\", \"fd00::/64\" ]; };",
	  .errors = "t.conf:2: pools[0].nat.sources[1]: addresses and prefixes do not mix" },
	{ .pool = CID "nat = { sources = [ \"127.0.0.1\" ]; ports = \"20000-20099\"; max_flows = 100; };",
	  .errors = "" },
	{ .pool = CID "nat = { sources = [ \"127.0.0.1\" ]; ports = \"20000-20099\"; max_flows = 101; };",
	  .errors = "t.conf:2: pools[0].nat.max_flows: 101 flows need as many endpoints; sources and ports give 100" },
	{ .pool = CID "nat = { sources = [ \"127.0.0.1\" ]; ports = \"20000-20099\"; max_flows = 200; };",
	  .backend = BACKEND "}, { name = \"b\"; id = 2; address = \"127.0.0.1:6002\";",
	  .errors = "" },
	{ .pool = CID "nat = { sources = [ \"127.0.0.1\" ]; ports = \"5684\"; max_flows = 8; };",
	  .errors = "t.conf:2: pools[0].nat.ports: 5684-5684 has the port of listeners[0], 127.0.0.1:5684\n"
		    "t.conf:2: pools[0].nat.max_flows: 8 flows need as many endpoints; sources and ports give 1" },
	{ .pool = CID "nat = { sources = [ \"127.64.0.0/\", \"x/10\", \"127.64.0.0/010\" ]; };",
	  .errors = "t.conf:2: pools[0].nat.sources[0]: \"127.64.0.0/\" is no source; accepted: A.B.C.D/BITS, "
		    "IPV6/BITS, or an address of "
		    "this host\n"
		    "t.conf:2: pools[0].nat.sources[1]: \"x/10\" is no source; accepted: A.B.C.D/BITS, IPV6/BITS, or "
		    "an address of this "
		    "host\n"
		    "t.conf:2: pools[0].nat.sources[2]: \"127.64.0.0/010\" is no source; accepted: A.B.C.D/BITS, "
		    "IPV6/BITS, or an address "
		    "of this host" },
	{ .pool = CID "nat = { sources = [ \"127.64.3.1/10\" ]; };",
	  .errors = "t.conf:2: pools[0].nat.sources[0]: \"127.64.3.1/10\" has host bits set; the prefix is "
		    "127.64.0.0/10" },
	{ .pool = CID "nat = { sources = [ \"127.64.0.0/10\", \"fd00::1/64\" ]; };",
	  .errors = "t.conf:2: pools[0].nat.sources[1]: \"fd00::1/64\" has host bits set; the prefix is fd00::/64" },
	{ .pool = CID "nat = { max_flows = 8; sources = [ \"10.0.0.0/8\" ]; };",
	  .backend = "id = 1; address = \"192.0.2.1:5684\";",
	  .errors = "" },
	{ .pool = CID "nat = { max_flows = 8; sources = [ \"127.0.0.0/8\" ]; };",
	  .errors = "t.conf:3: pools[0].backends[0].address: 127.0.0.1:6001 is in 127.0.0.0/8 of "
		    "pools[0].nat.sources: a loop; accepted: the address of a server" },
	{ .pool = CID "nat = { max_flows = 8; sources = [ \"127.64.0.0/30\" ]; };", .errors = "" },
	{ .pool = CID "nat = { sources = [ \"126.0.0.0/7\", \"127.0.0.0/31\" ]; };",
	  .errors = "t.conf:2: pools[0].nat.sources[0]: \"126.0.0.0/7\": 7 bits; accepted for IPv4: 8..30\n"
		    "t.conf:2: pools[0].nat.sources[1]: \"127.0.0.0/31\": 31 bits; accepted for IPv4: 8..30" },
	{ .pool = CID "nat = { sources = [ \"127.64.0.0/10\", \"fd00::/112\" ]; };", .errors = "" },
	{ .pool = CID "nat = { sources = [ \"fd00::/113\" ]; };",
	  .errors = "t.conf:2: pools[0].nat.sources[0]: \"fd00::/113\": 113 bits; accepted for IPv6: 8..112" },
	{ .pool = CID "nat = { sources = [ \"127.64.0.0/10\", \"127.65.0.0/16\" ]; };",
	  .errors = "t.conf:2: pools[0].nat.sources[1]: overlaps sources[0]" },
	{ .pool = CID,
	  .backend = "id = 1; address = \"[fe80::1%lo]:5684\";",
	  .errors =
		  "t.conf:2: pools[0].nat: no sources, and no route to backends[0] at [fe80::1%1]:5684 that would tell "
		  "one; give an "
		  "address of this host or a prefix" },
	{ .pool = CID "nat = { sources = [ \"127.64.0.0/10\" ]; };",
	  .backend = BACKEND "}, { name = \"b\"; id = 2; address = \"10.0.0.1:5684\";",
	  .errors = "t.conf:2: pools[0].nat.sources: 127.64.0.0/10 is on loopback, backends[1] is not" },
	{ .pool = CID,
	  .backend = "id = 1; address = \"[::1]:5684\";",
	  .errors = "t.conf:2: pools[0].nat: no source is IPv6, as backends[0] at [::1]:5684 needs" },
	{ .pool = CID "nat = { sources = [ \"fd00::/64\" ]; };",
	  .errors = "t.conf:2: pools[0].nat.sources: no source is IPv4, as backends[0] at 127.0.0.1:6001 needs" },
	{ .pool = CID "nat = { ports = \"1-64\"; };", .errors = "" },
	{ .pool = CID "nat = { ports = \"65535\"; };", .errors = "" },
	{ .pool = CID "nat = { ports = \"1-65\"; };",
	  .errors = "t.conf:2: pools[0].nat.ports: \"1-65\" is no port range; accepted: PORT, or LOW-HIGH of at most "
		    "64 ports" },
	{ .pool = CID "nat = { ports = \"9-8\"; };",
	  .errors = "t.conf:2: pools[0].nat.ports: \"9-8\" is no port range; accepted: PORT, or LOW-HIGH of at most 64 "
		    "ports" },
	{ .pool = CID "nat = { ports = \"65536\"; };",
	  .errors = "t.conf:2: pools[0].nat.ports: \"65536\" is no port range; accepted: PORT, or LOW-HIGH of at most "
		    "64 ports" },
	{ .pool = CID "nat = { ports = \"0-1\"; };",
	  .errors = "t.conf:2: pools[0].nat.ports: \"0-1\" is no port range; accepted: PORT, or LOW-HIGH of at most 64 "
		    "ports" },
	{ .pool = CID "nat = { ports = \"1-2-3\"; };",
	  .errors = "t.conf:2: pools[0].nat.ports: \"1-2-3\" is no port range; accepted: PORT, or LOW-HIGH of at most "
		    "64 ports" },
	{ .pool = CID "nat = { ports = \"5680-5690\"; };",
	  /* Sockets of a prefix are on the wildcard address. */
	  .errors = "t.conf:2: pools[0].nat.ports: 5680-5690 has the port of listeners[0], 127.0.0.1:5684" },
	{ .pool = CID "nat = { ports = \"5680-5690\"; };",
	  .listener = "name = \"l\"; address = \"0.0.0.0:5684\"; pool = \"p\";",
	  .errors = "t.conf:2: pools[0].nat.ports: 5680-5690 has the port of listeners[0], 0.0.0.0:5684" },
	{ .pool = CID "nat = { ports = \"5680-5690\"; };",
	  .listener = "name = \"l\"; address = \"[::]:5684\"; pool = \"p\";",
	  .errors = "" },
	{ .pool = CID "nat = { ports = \"5684\"; };",
	  .listener = "name = \"l\"; address = \"127.64.0.1:5684\"; pool = \"p\";",
	  .errors = "t.conf:2: pools[0].nat.ports: 5684-5684 has the port of listeners[0], 127.64.0.1:5684" },
	{ .pool = CID,
	  .listener = "name = \"l\"; address = \"0.0.0.0:40684\"; pool = \"p\";",
	  .errors = "t.conf:2: pools[0].nat: 40684-40684 has the port of listeners[0], 0.0.0.0:40684" },
	{ .pool = CID, .listener = "name = \"l\"; address = \"0.0.0.0:40685\"; pool = \"p\";", .errors = "" },
	{ .pool = CID "nat = { sources = [ \"127.64.0.0/11\" ]; };",
	  .listener = "name = \"l\"; address = \"0.0.0.0:40691\"; pool = \"p\";",
	  .errors = "t.conf:2: pools[0].nat.ports: 40684-40691 has the port of listeners[0], 0.0.0.0:40691" },
	{ .pool = CID "nat = { sources = [ \"127.64.0.0/11\" ]; };",
	  .listener = "name = \"l\"; address = \"0.0.0.0:40692\"; pool = \"p\";",
	  .errors = "" },
	{ .pool = CID "nat = { sources = [ \"127.64.0.0/24\" ]; max_flows = 2048; };", .errors = "" },
	{ .pool = CID "nat = { sources = [ \"127.64.0.0/24\" ]; max_flows = 2049; };",
	  .errors =
		  "t.conf:2: pools[0].nat.max_flows: 2049 flows need as many endpoints; sources and ports give 2048" },
	{ .pool = CID "nat = { sources = [ \"127.64.0.0/24\", \"fd00::/64\" ]; };",
	  .errors = "t.conf:2: pools[0].nat.max_flows: 100000 flows need as many endpoints; sources and ports give "
		    "2048" },
};

START_TEST(one_mistake)
{
	expect_mistake(&cases[_i]);
}
END_TEST

#define SAID(option)                                                                                                   \
	"t.conf:2: pools[0].nat." option ": does nothing any more: contest = \"own\" | \"home\" says who is "          \
	"heard while several addresses show one CID"

/* Options of earlier versions do no harm, whatever they say. Each has its line. */
START_TEST(options_that_are_gone)
{
	static const char *const texts[] = { "settle_ms = 5000; contest_s = 60;",
					     "settle_ms = -1; contest_s = \"x\";" };

	for (int i = 0; i < COUNT_OF(texts); i++) {
		char pool[256];

		snprintf(pool, sizeof pool, CID "nat = { %s contest = \"home\"; };", texts[i]);
		expect_warnings(compose(LISTENER, pool, BACKEND, ""), SAID("settle_ms") "\n" SAID("contest_s"));
	}
	expect_warnings(compose(LISTENER, CID "nat = { contest_s = 60; };", BACKEND, ""), SAID("contest_s"));
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_unchecked_fixture(tests, conf_dir_enter, conf_dir_leave);
	tcase_add_loop_test(tests, one_mistake, 0, COUNT_OF(cases));
	tcase_add_test(tests, options_that_are_gone);
}
