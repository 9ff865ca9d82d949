/* Mistakes that operators make in a file of the usual kind: each has the line that says where it is, and what would be
 * right. What else a group refuses stands in its own suite. */
#include "tests/fixtures/conf_fixture.h"
#include "tests/unit/suite.h"

static const char usual[] = "workers = 2;\n"
			    "user = \"nobody\";\n"
			    "hash_key = \"000102030405060708090a0b0c0d0e0f\";\n"
			    "admin = { http = \"127.0.0.1:9180\"; };\n"
			    "listeners = (\n"
			    "  { name = \"coaps\"; address = \"127.0.0.1:5684\"; pool = \"lwm2m\"; }\n"
			    ");\n"
			    "pools = ( {\n"
			    "  name = \"lwm2m\";\n"
			    "  protocol = \"dtls\";\n"
			    "  forward = \"nat\";\n"
			    "  cid = { scheme = \"node-id\"; length = 6; };\n"
			    "  nat = { sources = [ \"127.64.0.0/10\" ]; ports = \"40684-40691\"; };\n"
			    "  health = { probe = \"dtls\"; interval_ms = 2000; timeout_ms = 1000; };\n"
			    "  backends = (\n"
			    "    { name = \"a\"; id = 1; address = \"127.0.0.1:6001\"; weight = 100; },\n"
			    "    { name = \"b\"; id = 2; address = \"127.0.0.1:6002\"; }\n"
			    "  );\n"
			    "} );\n";

static const struct {
	const char *from, *to; /* what stands there in the usual file, and what does by mistake */
	const char *errors;
} mistakes[] = {
	{ "workers = 2;", "workers = auto;", "t.conf:1: syntax error: a text without quotes; accepted: \"TEXT\"" },
	{ "workers = 2;", "Workers = 2;", "t.conf:1: Workers: unknown; did you mean \"workers\"?" },
	{ "workers = 2;", "workers = ;", "t.conf:1: syntax error: a value is missing behind =" },
	{ "hash_key = \"000102030405060708090a0b0c0d0e0f\";", "hash_key = 000102030405060708090a0b0c0d0e0f;",
	  "t.conf:3: syntax error: a number with letters behind it; accepted: a number (the option's name has its "
	  "unit), or \"TEXT\"" },
	{ "hash_key = \"000102030405060708090a0b0c0d0e0f\";", "hash_key = \"/etc/cidlb/hash.key\";",
	  "t.conf:3: hash_key: not 32 hex digits nor \"@FILE\"; make one with: openssl rand -hex 16" },
	{ "hash_key = \"000102030405060708090a0b0c0d0e0f\";", "hash-key = \"000102030405060708090a0b0c0d0e0f\";",
	  "t.conf:1: hash_key: missing\n"
	  "t.conf:3: hash-key: unknown; did you mean \"hash_key\"?" },
	{ "hash_key = \"0", "hash_key = \"0x0",
	  "t.conf:3: hash_key: not 32 hex digits nor \"@FILE\"; make one with: openssl rand -hex 16" },
	{ "admin = { http = \"127.0.0.1:9180\"; };", "admin.http = \"127.0.0.1:9180\";",
	  "t.conf:4: syntax error: a name with a dot; accepted: NAME = { NAME = VALUE; };" },
	{ "admin = { http = \"127.0.0.1:9180\"; };", "admin = ( http = \"127.0.0.1:9180\"; );",
	  "t.conf:4: syntax error: settings in a list; accepted: { NAME = VALUE; } as its members" },
	{ "admin = { http = \"127.0.0.1:9180\"; };", "admin = { http = \"*:9180\"; };",
	  "t.conf:4: admin.http: \"*:9180\" is no address with port; accepted: A.B.C.D:PORT, [IPV6]:PORT" },
	{ "admin = { http = \"127.0.0.1:9180\"; };", "admin = { host = \"lb1\"; };",
	  "t.conf:4: admin.host: unknown; did you mean \"hosts\"?" },
	{ "admin = { http = \"127.0.0.1:9180\"; };", "admin = { hosts = \"lb1\"; };",
	  "t.conf:4: admin.hosts: not a list ( ... ) or [ ... ]" },
	{ "admin = { http = \"127.0.0.1:9180\"; };", "admin = { sock = \"/run/x\"; };",
	  "t.conf:4: admin.sock: unknown; did you mean \"socket\"?" },
	{ "\"127.0.0.1:5684\"", "\"5684\"",
	  "t.conf:6: listeners[0].address: \"5684\" is no address with port; accepted: A.B.C.D:PORT, [IPV6]:PORT" },
	{ "\"127.0.0.1:5684\"", "\"*:5684\"",
	  "t.conf:6: listeners[0].address: \"*:5684\" is no address with port; accepted: A.B.C.D:PORT, [IPV6]:PORT" },
	{ "\"127.0.0.1:5684\"", "\"::5684\"",
	  "t.conf:6: listeners[0].address: \"::5684\": an IPv6 address stands in brackets; accepted: [IPV6]:PORT" },
	{ "\"127.0.0.1:5684\"", "\"[::]\"",
	  "t.conf:6: listeners[0].address: \"[::]\": the port is missing; accepted: A.B.C.D:PORT, [IPV6]:PORT" },
	{ "\"127.0.0.1:5684\"", "\"::1:5684\"",
	  "t.conf:6: listeners[0].address: \"::1:5684\": an IPv6 address stands in brackets; accepted: [IPV6]:PORT" },
	{ "\"127.0.0.1:5684\"", "\"127.0.0.1:0\"",
	  "t.conf:6: listeners[0].address: \"127.0.0.1:0\": its port is out of range; accepted: 1..65535" },
	{ "\"127.0.0.1:5684\"", "\"127.0.0.1:70000\"",
	  "t.conf:6: listeners[0].address: \"127.0.0.1:70000\": its port is out of range; accepted: 1..65535" },
	{ "\"127.0.0.1:5684\"", "\"127.0.0.256:5684\"",
	  "t.conf:6: listeners[0].address: \"127.0.0.256:5684\" is no address with port; accepted: A.B.C.D:PORT, "
	  "[IPV6]:PORT" },
	{ "\"127.0.0.1:5684\"", "\"127.0.0.1:coaps\"",
	  "t.conf:6: listeners[0].address: \"127.0.0.1:coaps\": only backends may have host names; give an IP "
	  "address" },
	{ "\"127.0.0.1:5684\"", "\"127.0.0.1/8:5684\"",
	  "t.conf:6: listeners[0].address: \"127.0.0.1/8:5684\" is no address with port; accepted: A.B.C.D:PORT, "
	  "[IPV6]:PORT" },
	{ "\"127.0.0.1:5684\"", "\"eth0:5684\"",
	  "t.conf:6: listeners[0].address: \"eth0:5684\": only backends may have host names; give an IP address" },
	{ "\"127.0.0.1:5684\"", "\"localhost:5684\"",
	  "t.conf:6: listeners[0].address: \"localhost:5684\": only backends may have host names; give an IP address" },
	{ "\"127.0.0.1:5684\"", "\"udp://127.0.0.1:5684\"",
	  "t.conf:6: listeners[0].address: \"udp://127.0.0.1:5684\" is no address with port; accepted: "
	  "A.B.C.D:PORT, [IPV6]:PORT" },
	{ "pool = \"lwm2m\"; }", "pool = lwm2m; }",
	  "t.conf:6: syntax error: a text without quotes; accepted: \"TEXT\"" },
	{ "pool = \"lwm2m\"; }",
	  "pool = \"lwm2m\"; }\n  { name = \"coap\"; address = \"127.0.0.1:5683\"; pool = \"lwm2m\"; }",
	  "t.conf:7: syntax error: a comma is missing before it" },
	{ "listeners = (", "listeners = [",
	  "t.conf:6: syntax error: [ ] holds texts and numbers; accepted for groups: ( { ... }, { ... } )" },
	{ "listeners = (", "listeners = {",
	  "t.conf:6: syntax error: a group without a name; accepted: NAME = { ... }; and for several ( { ... }, { ... "
	  "} )" },
	{ "listeners = (\n  { name = \"coaps\"; address = \"127.0.0.1:5684\"; pool = \"lwm2m\"; }\n);",
	  "listeners = { name = \"coaps\"; address = \"127.0.0.1:5684\"; pool = \"lwm2m\"; };",
	  "t.conf:5: listeners: not a list ( ... ) or [ ... ]" },
	{ "protocol = \"dtls\"", "protocol = \"DTLS\"",
	  "t.conf:10: pools[0].protocol: \"DTLS\" is unknown; accepted: dtls, udp" },
	{ "protocol = \"dtls\"", "protocol = dtls",
	  "t.conf:10: syntax error: a text without quotes; accepted: \"TEXT\"" },
	{ "protocol = \"dtls\"", "protocol = \"udp\"",
	  "t.conf:12: pools[0].cid: a udp pool has no CIDs; remove it, or say protocol = \"dtls\"" },
	{ "forward = \"nat\"", "forward = \"NAT\"",
	  "t.conf:11: pools[0].forward: \"NAT\" is unknown; accepted: nat, tunnel, dsr" },
	{ "forward = \"nat\"", "forward = \"tunnel\"",
	  "t.conf:8: pools[0].tunnel: missing: forward = \"tunnel\" needs its local address and keys" },
	{ "scheme = \"node-id\"", "scheme = \"node_id\"",
	  "t.conf:12: pools[0].cid.scheme: \"node_id\" is unknown; accepted: node-id, quic-lb, hash, none, learned" },
	{ "scheme = \"node-id\"; length = 6;", "scheme = \"node-id\";", "t.conf:12: pools[0].cid.length: missing" },
	{ "scheme = \"node-id\"; length = 6;", "scheme = \"quic-lb\"; length = 6;",
	  "t.conf:12: pools[0].cid.length: belongs to other schemes; \"quic-lb\" has lengths in its configs\n"
	  "t.conf:12: pools[0].cid.configs: missing" },
	{ "  cid = { scheme = \"node-id\"; length = 6; };\n", "  cid = \"node-id\";\n",
	  "t.conf:12: pools[0].cid: not a group { ... }" },
	{ "\"127.64.0.0/10\"", "\"127.64.0.0\\\\10\"",
	  "t.conf:13: pools[0].nat.sources[0]: \"127.64.0.0\\10\" is no source; accepted: A.B.C.D/BITS, IPV6/BITS, or "
	  "an address of this host" },
	{ "\"127.64.0.0/10\"", "\"127.64.0.0-127.127.255.255\"",
	  "t.conf:13: pools[0].nat.sources[0]: \"127.64.0.0-127.127.255.255\" is no source; accepted: A.B.C.D/BITS, "
	  "IPV6/BITS, or an address of this host" },
	{ "\"127.64.0.0/10\"", "\"127.64.0.0/255.192.0.0\"",
	  "t.conf:13: pools[0].nat.sources[0]: \"127.64.0.0/255.192.0.0\" is no source; accepted: A.B.C.D/BITS, "
	  "IPV6/BITS, or an address of this host" },
	{ "\"127.64.0.0/10\"", "\"lo\"",
	  "t.conf:13: pools[0].nat.sources[0]: \"lo\" is no source; accepted: A.B.C.D/BITS, IPV6/BITS, or an address "
	  "of this host" },
	{ "\"40684-40691\"", "40684", "t.conf:13: pools[0].nat.ports: not a text in quotes" },
	{ "\"40684-40691\"", "\"40691-40684\"",
	  "t.conf:13: pools[0].nat.ports: \"40691-40684\" is no port range; accepted: PORT, or LOW-HIGH of at most 64 "
	  "ports" },
	{ "\"40684-40691\"", "\"40684:40691\"",
	  "t.conf:13: pools[0].nat.ports: \"40684:40691\" is no port range; accepted: PORT, or LOW-HIGH of at most 64 "
	  "ports" },
	{ "\"40684-40691\"", "\"40684,40691\"",
	  "t.conf:13: pools[0].nat.ports: \"40684,40691\" is no port range; accepted: PORT, or LOW-HIGH of at most 64 "
	  "ports" },
	{ "\"40684-40691\"", "\"0-10\"",
	  "t.conf:13: pools[0].nat.ports: \"0-10\" is no port range; accepted: PORT, or LOW-HIGH of at most 64 ports" },
	{ "ports = \"40684-40691\";", "port = \"40684-40691\";",
	  "t.conf:13: pools[0].nat.port: unknown; did you mean \"ports\"?" },
	{ "ports = \"40684-40691\";", "ports = \"40684-40691\"; idle_s = \"300s\";",
	  "t.conf:13: pools[0].nat.idle_s: not a whole number; accepted: 1..86400 s" },
	{ "ports = \"40684-40691\";", "ports = \"40684-40691\"; idle_s = 300s;",
	  "t.conf:13: syntax error: a number with letters behind it; accepted: a number (the option's name has its "
	  "unit), or \"TEXT\"" },
	{ "ports = \"40684-40691\";", "ports = \"40684-40691\"; idle_s = 5m;",
	  "t.conf:13: syntax error: a number with letters behind it; accepted: a number (the option's name has its "
	  "unit), or \"TEXT\"" },
	{ "ports = \"40684-40691\";", "ports = \"40684-40691\"; idle = 300;",
	  "t.conf:13: pools[0].nat.idle: unknown; did you mean \"idle_s\"?" },
	{ "ports = \"40684-40691\";", "ports = \"40684-40691\"; idle_ms = 300000;",
	  "t.conf:13: pools[0].nat.idle_ms: unknown; did you mean \"idle_s\"?" },
	{ "ports = \"40684-40691\";", "ports = \"40684-40691\"; rebind = true;",
	  "t.conf:13: pools[0].nat.rebind: not a text in quotes; accepted: follow, backend" },
	{ "probe = \"dtls\"", "probe = false",
	  "t.conf:14: pools[0].health.probe: not a text in quotes; accepted: dtls, coap, coaps, http, none" },
	{ "interval_ms = 2000", "interval_s = 2",
	  "t.conf:14: pools[0].health.interval_s: unknown; did you mean \"interval_ms\"?" },
	{ "interval_ms = 2000", "interval = 2000",
	  "t.conf:14: pools[0].health.interval: unknown; did you mean \"interval_ms\"?" },
	{ "timeout_ms = 1000", "timeout = 1000",
	  "t.conf:14: pools[0].health.timeout: unknown; did you mean \"timeout_ms\"?" },
	{ "id = 1;", "id = \"1\";",
	  "t.conf:16: pools[0].backends[0].id: \"1\" does not fit size 1; accepted: 2 hex digits" },
	{ "id = 1;", "id = 0x;",
	  "t.conf:16: syntax error: a number with letters behind it; accepted: a number (the option's name has its "
	  "unit), or \"TEXT\"" },
	{ "\"127.0.0.1:6001\"", "\"127.0.0.1\"",
	  "t.conf:16: pools[0].backends[0].address: \"127.0.0.1\": the port is missing; accepted: A.B.C.D:PORT, "
	  "[IPV6]:PORT" },
	{ "\"127.0.0.1:6001\"", "\"fd00::1:6001\"",
	  "t.conf:16: pools[0].backends[0].address: \"fd00::1:6001\": an IPv6 address stands in brackets; accepted: "
	  "[IPV6]:PORT" },
	{ "\"127.0.0.1:6001\"", "\"[fd00::1:6001\"",
	  "t.conf:16: pools[0].backends[0].address: \"[fd00::1:6001\" is no address with port; accepted: A.B.C.D:PORT, "
	  "[IPV6]:PORT, HOST:PORT" },
	{ "weight = 100;", "weight = \"75%\";",
	  "t.conf:16: pools[0].backends[0].weight: not a whole number; accepted: 0..256" },
	{ "weight = 100;", "weigth = 100;",
	  "t.conf:16: pools[0].backends[0].weigth: unknown; did you mean \"weight\"?" },
	{ "weight = 100; },", "weight = 100; }", "t.conf:17: syntax error: a comma is missing before it" },
	{ "weight = 100;", "weight = 100; state = drain;",
	  "t.conf:16: syntax error: a text without quotes; accepted: \"TEXT\"" },
	{ "  );\n} );", "  ;\n} );", "t.conf:18: syntax error: a list that is not closed" },
	{ "  );\n} );", "  );\n};", "t.conf:19: syntax error: a list that is not closed" },
	{ "pools = ( {", "pools = {", "t.conf:19: syntax error: a closing bracket too many" },
	{ "user = \"nobody\";", "user = \"\";", "t.conf:2: user: empty; accepted: the name of a user" },
	{ "user = \"nobody\";", "user = \"nobody\"; rcvbuf_octets = \"4M\";",
	  "t.conf:2: rcvbuf_octets: not a whole number; accepted: 4096..1073741824 octets" },
	{ "user = \"nobody\";", "user = \"nobody\"; rcvbuf_octets = 4M;",
	  "t.conf:2: syntax error: a number with letters behind it; accepted: a number (the option's name has its "
	  "unit), or \"TEXT\"" },
	{ "user = \"nobody\";", "user = \"nobody",
	  "t.conf:3: syntax error: a text in quotes that goes over several lines; is a \" missing?" },
	{ "user = \"nobody\";", "user = 'nobody';",
	  "t.conf:2: syntax error: a sign that is none of libconfig's; accepted for texts: \"TEXT\"" },
	{ "user = \"nobody\";", "user \"nobody\";",
	  "t.conf:2: syntax error: a name without =; accepted: NAME = VALUE;" },
	{ "user = \"nobody\";", "user = \"nobody\"; pools = ();", "t.conf:8: duplicate setting name" },
	{ "user = \"nobody\";", "user = “nobody”;",
	  "t.conf:2: syntax error: a sign that is none of libconfig's; accepted for texts: \"TEXT\"" },
	{ "user = \"nobody\";", "user = \"nobody\"; hello_rate = { pool = 1; };",
	  "t.conf:2: hello_rate: unknown here; accepted in pools" },
	{ "forward = \"nat\";", "forward = \"nat\"; hello_rate = 100;",
	  "t.conf:11: pools[0].hello_rate: not a group { ... }" },
	{ "forward = \"nat\";", "forward = \"nat\"; hello_rate = { per_ip = 100; };",
	  "t.conf:11: pools[0].hello_rate.per_ip: unknown; accepted: pool, backend, prefix" },
	{ "  cid = {", "  idle_s = 30;\n  cid = {", "t.conf:12: pools[0].idle_s: unknown here; accepted in pools.nat" },
	{ "weight = 100;", "weight 100;", "t.conf:16: syntax error: a name without =; accepted: NAME = VALUE;" },
	{ "hash_key = \"000102030405060708090a0b0c0d0e0f\";", "hash_key = \"000102030405060708090a0b0c0d0e0f",
	  "t.conf:4: syntax error: a text in quotes that goes over several lines; is a \" missing?" },
	{ "protocol = \"dtls\";", "protocol = \"dtls\"; psk_key = \"00\";",
	  "t.conf:10: pools[0].psk_key: unknown here; accepted in pools.health" },
	{ "nat = {", "nat = {  workers = 2;",
	  "t.conf:13: pools[0].nat.workers: unknown here; accepted in the file itself" },
	{ "sources = [ \"127.64.0.0/10\" ];", "sources = [ 127.64.0.0/10 ];",
	  "t.conf:13: syntax error: two values in a row; accepted: one number, or \"TEXT\"" },
	{ "  );\n} );\n", "  );\n", "t.conf:19: syntax error: a bracket is not closed" },
	{ "weight = 100;", "weight = true;",
	  "t.conf:16: pools[0].backends[0].weight: not a whole number; accepted: 0..256" },
	{ "interval_ms = 2000;", "interval_ms = 2,000;",
	  "t.conf:14: syntax error: a value without a name; accepted: NAME = VALUE;" },
};

START_TEST(mistake)
{
	const char *from = mistakes[_i].from, *at = strstr(usual, from);
	char text[sizeof usual + 256];

	ck_assert_ptr_nonnull(at);
	snprintf(text, sizeof text, "%.*s%s%s", (int)(at - usual), usual, mistakes[_i].to, at + strlen(from));
	expect_errors(text, mistakes[_i].errors);
}
END_TEST

START_TEST(none)
{
	expect_errors(usual, "");
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_unchecked_fixture(tests, conf_dir_enter, conf_dir_leave);
	tcase_add_test(tests, none);
	tcase_add_loop_test(tests, mistake, 0, COUNT_OF(mistakes));
}
