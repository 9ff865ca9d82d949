/* Pools with forward = "dsr". */
#include "tests/fixtures/conf_fixture.h"
#include "tests/unit/suite.h"

#define TOP                   "hash_key = \"000102030405060708090a0b0c0d0e0f\"; user = \"nobody\"; workers = 4;\n"
#define L2                    "dsr = { encap = \"l2\"; };"
#define CID                   "cid = { scheme = \"none\"; };"
#define BACKEND               "{ name = \"a\"; address = \"10.0.0.3:5684\"; }"
#define POOL(dsr, backends_)  "{ name = \"p\"; forward = \"dsr\"; " dsr "\nbackends = ( " backends_ " ); }"
#define LISTENER(name_, addr) "{ name = \"" name_ "\"; address = \"" addr "\"; pool = \"p\"; }"

/* Line 1 is the top, 2 the listeners, 3 the pool, 4 its backends. */
#define FILE_OF(listeners_, pool) TOP "listeners = ( " listeners_ " );\npools = ( " pool " );\n"
#define WITH(dsr)                 FILE_OF(LISTENER("l", "10.0.0.10:5684"), POOL(CID dsr, BACKEND))
#define AT(listeners_)            FILE_OF(listeners_, POOL(CID L2, BACKEND))
#define FOR(backend)              FILE_OF(LISTENER("l", "10.0.0.10:5684"), POOL(CID L2, backend))

static const struct {
	const char *text, *errors; /* "": accepted */
} cases[] = {
	{ WITH(L2), "" },
	{ WITH("dsr = { encap = \"ipip\"; cid_idle_s = 60; };"), "" },
	{ WITH(""),
	  "t.conf:3: pools[0].dsr: missing: forward = \"dsr\" needs dsr = { encap = \"l2\"; } (servers of the "
	  "same segment) or \"ipip\"" },
	{ WITH("dsr = { };"), "t.conf:3: pools[0].dsr.encap: missing; accepted: l2, ipip" },
	{ WITH("dsr = { encap = \"gue\"; };"), "t.conf:3: pools[0].dsr.encap: \"gue\" is unknown; accepted: l2, ipip" },
	{ WITH("dsr = { encap = \"l2\"; encapsulation = 1; };"),
	  "t.conf:3: pools[0].dsr.encapsulation: unknown; accepted: "
	  "encap, cid_idle_s" },
	{ WITH("dsr = { encap = \"l2\"; cid_idle_s = 0; };"), "t.conf:3: pools[0].dsr.cid_idle_s: 0 is out of range; "
							      "accepted: 1..2000000 s" },
	/* CIDs that would be learned from answers */
	{ FILE_OF(LISTENER("l", "10.0.0.10:5684"), POOL(L2, BACKEND)),
	  "t.conf:3: pools[0].cid: CIDs are learned from servers' answers, which do not pass cidlb with dsr; accepted: "
	  "cid "
	  "= { scheme = \"node-id\"; … }, \"quic-lb\", \"hash\" or \"none\"" },
	{ FILE_OF(LISTENER("l", "10.0.0.10:5684"), POOL(L2 "cid = { scheme = \"learned\"; };", BACKEND)),
	  "t.conf:3: pools[0].cid: CIDs are learned from servers' answers, which do not pass cidlb with dsr; accepted: "
	  "cid "
	  "= { scheme = \"node-id\"; … }, \"quic-lb\", \"hash\" or \"none\"" },
	{ FILE_OF(LISTENER("l", "10.0.0.10:5684"), POOL(L2 "protocol = \"udp\";", BACKEND)), "" },
	/* The service address */
	{ AT(LISTENER("l", "0.0.0.0:5684")), "t.conf:2: listeners[0].address: 0.0.0.0:5684: with dsr the servers have "
					     "the service address too, so it cannot be "
					     "every address of this host; give the one that they have on lo" },
	{ AT(LISTENER("l", "127.0.0.1:5684")), "t.conf:2: listeners[0].address: 127.0.0.1:5684: servers cannot answer "
					       "devices from it; give an address that is "
					       "routed" },
	{ AT(LISTENER("l", "10.0.0.10:5684") "," LISTENER("m", "10.0.0.11:5684")), "" },
	{ AT(LISTENER("l", "10.0.0.10:5684") "," LISTENER("m", "[fd00::10]:5684")),
	  "t.conf:2: listeners[1].address: IPv6, but listeners[0] at 10.0.0.10:5684 is IPv4; a pool of mode dsr has "
	  "one "
	  "version: give each a pool" },
	/* Servers */
	{ FOR("{ name = \"a\"; address = \"10.0.0.3:6001\"; }"),
	  "t.conf:4: pools[0].backends[0].address: port 6001: dsr changes no port, and devices send to that of the "
	  "listener; "
	  "accepted: 5684. Where probes are to go elsewhere, give health.port" },
	{ FOR("{ name = \"a\"; address = \"10.0.0.10:5684\"; }"),
	  "t.conf:4: pools[0].backends[0].address: 10.0.0.10:5684 has the service address, which all servers share; "
	  "give the "
	  "server's own address\nt.conf:4: pools[0].backends[0].address: 10.0.0.10:5684 is the address of "
	  "listeners[0]: a "
	  "loop; accepted: the address of a server" },
	{ FOR("{ name = \"a\"; address = \"[fd00::3]:5684\"; }"),
	  "t.conf:4: pools[0].backends[0].address: IPv6, but the service address 10.0.0.10:5684 is IPv4; give an IPv4 "
	  "address" },
	{ FOR("{ name = \"a\"; address = \"127.0.0.3:5684\"; }"),
	  "t.conf:4: pools[0].backends[0].address: on loopback: dsr sends frames or packets to other hosts; give an "
	  "address "
	  "there" },
	{ FOR("{ name = \"a\"; address = \"coap.example:5684\"; }"), "" },
	{ FOR("{ name = \"a\"; address = \"coap.example:5685\"; }"),
	  "t.conf:4: pools[0].backends[0].address: port 5685: dsr changes no port, and devices send to that of the "
	  "listener; "
	  "accepted: 5684. Where probes are to go elsewhere, give health.port" },
};

START_TEST(reported)
{
	expect_errors(cases[_i].text, cases[_i].errors);
}
END_TEST

START_TEST(values)
{
	struct conf_report report;
	struct conf *conf = load_text(&report, FILE_OF(LISTENER("l", "[fd00::10]:5684"),
						       POOL(CID "dsr = { encap = \"ipip\"; };",
							    "{ name = \"a\"; address = \"coap.example:5684\"; }")));

	ck_assert_ptr_nonnull(conf);
	ck_assert_int_eq(conf->pools[0].forward, FORWARD_DSR);
	ck_assert_int_eq(conf->pools[0].dsr.encap, ENCAP_IPIP);
	ck_assert_uint_eq(conf->pools[0].dsr.cid_idle_s, 86400);
	ck_assert(conf->pools[0].dsr.v6 && conf_pool_asks_v6(&conf->pools[0]));
	conf_free(conf);
	conf_report_free(&report);
}
END_TEST

/* What belongs to another mode does nothing, and it is said so. */
START_TEST(other_modes)
{
	expect_warnings(FILE_OF(LISTENER("l", "10.0.0.10:5684"),
				POOL("protocol = \"udp\";" L2 "nat = { idle_s = 60; };", BACKEND)),
			"t.conf:3: pools[0].nat: no effect with forward = \"dsr\"");
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_unchecked_fixture(tests, conf_dir_enter, conf_dir_leave);
	tcase_add_loop_test(tests, reported, 0, COUNT_OF(cases));
	tcase_add_test(tests, values);
	tcase_add_test(tests, other_modes);
}
