#include "tests/fixtures/conf_mistakes.h"
#include "tests/unit/suite.h"

#define HEALTH(probe, more) "health = { probe = \"" probe "\"; " more " };"
#define COAPS(key, more)    CID HEALTH("coaps", "psk_identity = \"i\"; psk_key = \"" key "\";" more)
#define NO_PATH             "not a path; accepted: '/' and what follows, at most 63 printable characters, no \"//\""
#define OCTETS_32           "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"
#define OCTETS_53           "01234567890123456789012345678901234567890123456789012"

static const struct mistake cases[] = {
	/* the file itself */
	{ .errors = "" },
	{ .top = "worker = 1;", .errors = "t.conf:4: worker: unknown; did you mean \"workers\"?" },
	{ .top = "workers = \"two\";", .errors = "t.conf:4: workers: not a whole number; accepted: 0..64" },
	{ .top = "workers = 1.5;", .errors = "t.conf:4: workers: not a whole number; accepted: 0..64" },
	{ .top = "admin = 9180;", .errors = "t.conf:4: admin: not a group { ... }" },
	{ .top = "admin = { http = \"localhost:9180\"; };",
	  .errors = "t.conf:4: admin.http: \"localhost:9180\": only backends may have host names; give an IP address" },
	{ .top = "admin = { socket = \"\"; };", .errors = "" },
	{ .top = "admin = { socket = 1; };", .errors = "t.conf:4: admin.socket: not a text in quotes" },
	{ .top = "admin = { socket = \"admin.sock\"; };",
	  .errors = "t.conf:4: admin.socket: \"admin.sock\" is no absolute path of at most 107 octets" },
	{ .top = "admin = { socket = \"/" OCTETS_53 OCTETS_53 "\"; };", .errors = "" },
	{ .top = "admin = { socket = \"//" OCTETS_53 OCTETS_53 "\"; };",
	  .errors = "t.conf:4: admin.socket: \"//01234567890123456789012345678901234567890123456789012012...\" is no "
		    "absolute path of at "
		    "most "
		    "107 octets" },
	{ .top = "state_file = \"\";", .errors = "" },
	{ .top = "state_file = \"/s\";", .errors = "" },
	{ .top = "state_file = 1;", .errors = "t.conf:4: state_file: not a text in quotes" },
	{ .top = "state_file = \"state.json\";",
	  .errors = "t.conf:4: state_file: \"state.json\" is no absolute path of at most 4079 octets" },
	{ .top = "admin = { htpp = \"127.0.0.1:1\"; };",
	  .errors = "t.conf:4: admin.htpp: unknown; did you mean \"http\"?" },
	/* listeners */
	{ .listener = "address = \"127.0.0.1:5684\"; pool = \"p\";", .errors = "t.conf:1: listeners[0].name: missing" },
	{ .listener = "name = \"\"; address = \"127.0.0.1:5684\"; pool = \"p\";",
	  .errors = "t.conf:1: listeners[0].name: \"\" is no name; accepted: 1..63 letters, digits, '.', '_', '-'" },
	{ .listener = "name = \"a b\"; address = \"127.0.0.1:5684\"; pool = \"p\";",
	  .errors = "t.conf:1: listeners[0].name: \"a b\" is no name; accepted: 1..63 letters, digits, '.', '_', '-'" },
	{ .listener = "name = \"l\"; address = \"127.0.0.1\"; pool = \"p\";",
	  .errors = "t.conf:1: listeners[0].address: \"127.0.0.1\": the port is missing; accepted: A.B.C.D:PORT, "
		    "[IPV6]:PORT" },
	{ .listener = "name = \"l\"; address = \"2001:db8::1\"; pool = \"p\";",
	  .errors = "t.conf:1: listeners[0].address: \"2001:db8::1\": an IPv6 address stands in brackets; accepted: "
		    "[IPV6]:PORT" },
	{ .listener = "name = \"l\"; address = \"127.0.0.1:65536\"; pool = \"p\";",
	  .errors = "t.conf:1: listeners[0].address: \"127.0.0.1:65536\": its port is out of range; accepted: "
		    "1..65535" },
	{ .listener = "name = \"l\"; address = \"127.0.0.1:5684\"; pool = \"q\";",
	  .errors = "t.conf:1: listeners[0].pool: no pool has the name \"q\"; accepted: p" },
	{ .listener = "name = \"l\"; address = \"224.0.1.187:5684\"; pool = \"p\";",
	  .errors = "t.conf:1: listeners[0].address: \"224.0.1.187:5684\" is a multicast or broadcast address, from "
		    "which nobody can be answered; accepted: one of this host" },
	{ .listener = "name = \"l\"; address = \"[ff02::fd]:5684\"; pool = \"p\";",
	  .errors =
		  "t.conf:1: listeners[0].address: \"[ff02::fd]:5684\" is a multicast or broadcast address, from which "
		  "nobody can be answered; accepted: one of this host" },
	{ .listener = "name = \"l\"; address = \"255.255.255.255:5684\"; pool = \"p\";",
	  .errors =
		  "t.conf:1: listeners[0].address: \"255.255.255.255:5684\" is a multicast or broadcast address, from "
		  "which nobody can be answered; accepted: one of this host" },
	{ .top = "admin = { http = \"224.0.0.1:9180\"; };",
	  .errors =
		  "t.conf:4: admin.http: \"224.0.0.1:9180\" is a multicast or broadcast address, from which nobody can "
		  "be answered; accepted: one of this host" },
	{ .listener = LISTENER "}, { name = \"m\"; address = \"0.0.0.0:5684\"; pool = \"p\"; ",
	  .errors = "t.conf:1: listeners[1].address: 0.0.0.0:5684 overlaps listeners[0], 127.0.0.1:5684; accepted: all "
		    "addresses of a port, or some of them" },
	{ .listener = LISTENER "}, { name = \"m\"; address = \"[::]:5684\"; pool = \"p\"; ", .errors = "" },
	{ .listener = "name = \"l\"; address = \"[fe80::1]:5684\"; pool = \"p\";",
	  .errors = "t.conf:1: listeners[0].address: \"[fe80::1]:5684\" is an address of a link; accepted: with its "
		    "interface, as in fe80::1%eth0" },
	{ .listener = "name = \"l\"; address = \"[fe80::1%no-such]:5684\"; pool = \"p\";",
	  .errors = "t.conf:1: listeners[0].address: \"[fe80::1%no-such]:5684\": this host has no such interface" },
	{ .listener = "name = \"l\"; address = \"[fe80::1%lo]:5684\"; pool = \"p\";", .errors = "" },
	{ .listener = "name = \"l\"; address = \"[::1%lo]:5684\"; pool = \"p\";",
	  .errors =
		  "t.conf:1: listeners[0].address: \"[::1%lo]:5684\" is no address with port; accepted: A.B.C.D:PORT, "
		  "[IPV6]:PORT" },
	{ .listener = LISTENER " freebind = true;", .errors = "" },
	{ .listener = LISTENER " freebind = 1;", .errors = "t.conf:1: listeners[0].freebind: not true or false" },
	{ .listener = LISTENER "}, { " LISTENER,
	  .errors = "t.conf:1: listeners[1].name: \"l\" is already the name of listeners[0]\n"
		    "t.conf:1: listeners[1].address: 127.0.0.1:5684 is already the address of listeners[0]" },
	{ .listener = LISTENER "}, 5, { name = \"m\"; address = \"[::]:5684\"; pool = \"p\"; ",
	  .errors = "t.conf:1: listeners[1]: not a group { ... }" },
	/* pools */
	{ .pool = CID "}, { name = \"p\"; " CID,
	  .errors = "t.conf:2: pools[0].backends: missing\nt.conf:2: pools[1]: \"p\" is already the name of pools[0]" },
	{ .pool = CID "protocol = \"tcp\";",
	  .errors = "t.conf:2: pools[0].protocol: \"tcp\" is unknown; accepted: dtls, udp" },
	{ .pool = CID "protocol = 1;",
	  .errors = "t.conf:2: pools[0].protocol: not a text in quotes; accepted: dtls, udp" },
	{ .pool = CID "affinity = \"port\";",
	  .errors = "t.conf:2: pools[0].affinity: \"port\" is unknown; accepted: address-port, address" },
	{ .pool = CID "unknown_cid = \"keep\";",
	  .errors = "t.conf:2: pools[0].unknown_cid: \"keep\" is unknown; accepted: drop, hash" },
	/* health */
	{ .pool = CID "health = { probe = \"coaps\"; };",
	  .errors = "t.conf:2: pools[0].health.psk_identity: missing; probe \"coaps\" begins a session\n"
		    "t.conf:2: pools[0].health.psk_key: missing; probe \"coaps\" begins a session" },
	{ .pool = CID "health = { probe = \"coaps\"; psk_identity = \"\"; psk_key = \"\"; };",
	  .errors = "t.conf:2: pools[0].health.psk_identity: 0 octets; accepted: 1..128\n"
		    "t.conf:2: pools[0].health.psk_key: not hex digits of 1..32 octets nor \"@FILE\"" },
	{ .pool = COAPS("00", ""), .errors = "" },
	{ .pool = COAPS(OCTETS_32, ""), .errors = "" },
	{ .pool = COAPS(OCTETS_32 "00", ""),
	  .errors = "t.conf:2: pools[0].health.psk_key: not hex digits of 1..32 octets nor \"@FILE\"" },
	{ .pool = COAPS("000", ""),
	  .errors = "t.conf:2: pools[0].health.psk_key: not hex digits of 1..32 octets nor \"@FILE\"" },
	{ .pool = COAPS("@absent", ""),
	  .errors = "t.conf:2: pools[0].health.psk_key: \"absent\": No such file or directory" },
	{ .pool = "protocol = \"udp\";" HEALTH("coaps", "psk_identity = \"i\"; psk_key = \"00\"; port = 5684;"),
	  .errors = "" },
	{ .pool = CID HEALTH("http", "port = 8080; path = \"/api/clients?a=1\";"), .errors = "" },
	{ .pool = CID HEALTH("http", "path = \"x\";"), .errors = "t.conf:2: pools[0].health.path: " NO_PATH },
	{ .pool = CID HEALTH("http", "path = \"\";"), .errors = "t.conf:2: pools[0].health.path: " NO_PATH },
	{ .pool = CID HEALTH("http", "path = \"/a b\";"), .errors = "t.conf:2: pools[0].health.path: " NO_PATH },
	{ .pool = CID HEALTH("http", "path = \"/a//b\";"), .errors = "t.conf:2: pools[0].health.path: " NO_PATH },
	{ .pool = CID HEALTH("http", "path = \"/\\x7f\";"), .errors = "t.conf:2: pools[0].health.path: " NO_PATH },
	{ .pool = CID HEALTH("http", "path = \"/123456789" OCTETS_53 "\";"), .errors = "" },
	{ .pool = CID HEALTH("http", "path = \"/1234567890" OCTETS_53 "\";"),
	  .errors = "t.conf:2: pools[0].health.path: " NO_PATH },
	{ .pool = CID HEALTH("ping", "psk_identity = \"\"; psk_key = \"0\";"),
	  .errors = "t.conf:2: pools[0].health.probe: \"ping\" is unknown; accepted: dtls, coap, coaps, http, none" },
	{ .pool = CID HEALTH("dtls", "path = \"x\";"), .errors = "t.conf:2: pools[0].health.path: " NO_PATH },
	{ .pool = CID "health = { all_down = \"up\"; };",
	  .errors = "t.conf:2: pools[0].health.all_down: \"up\" is unknown; accepted: hash, drop" },
	/* max_resumable */
	{ .pool = CID "max_resumable = 0;", .errors = "" },
	{ .pool = CID "max_resumable = 1024;", .errors = "" },
	{ .pool = CID "max_resumable = 1023;",
	  .errors = "t.conf:2: pools[0].max_resumable: 1023 is out of range; accepted: 0, 1024..100000000" },
	{ .pool = CID "max_resumable = -1;",
	  .errors = "t.conf:2: pools[0].max_resumable: -1 is out of range; accepted: 0..100000000" },
	{ .pool = "protocol = \"udp\"; max_resumable = 2000;",
	  .errors = "t.conf:2: pools[0].max_resumable: a udp pool has no sessions to resume; remove it, or say "
		    "protocol = "
		    "\"dtls\"" },
	/* hello_rate */
	{ .pool = CID "hello_rate = 100;", .errors = "t.conf:2: pools[0].hello_rate: not a group { ... }" },
	{ .pool = CID "hello_rate = { backends = 100; };",
	  .errors = "t.conf:2: pools[0].hello_rate.backends: unknown; did you mean \"backend\"?" },
	{ .pool = "protocol = \"udp\"; hello_rate = { pool = 100; };",
	  .errors = "t.conf:2: pools[0].hello_rate: a udp pool has no ClientHellos; remove it, or say protocol = "
		    "\"dtls\"" },
	/* backends */
	{ .backend = "address = \"127.0.0.1:6001\";",
	  .errors = "t.conf:3: pools[0].backends[0].id: missing: scheme \"node-id\" needs one for each backend" },
	{ .backend = "id = 0; address = \"127.0.0.1:6001\";", .errors = "" },
	{ .backend = "id = 255; address = \"127.0.0.1:6001\";", .errors = "" },
	{ .backend = "id = 256; address = \"127.0.0.1:6001\";",
	  .errors = "t.conf:3: pools[0].backends[0].id: 256 does not fit size 1; accepted: 0..255" },
	{ .backend = "id = -1; address = \"127.0.0.1:6001\";",
	  .errors = "t.conf:3: pools[0].backends[0].id: -1 does not fit size 1; accepted: 0..255" },
	{ .backend = "id = \"ff\"; address = \"127.0.0.1:6001\";", .errors = "" },
	{ .backend = "id = \"ed793a\"; address = \"127.0.0.1:6001\";",
	  .errors = "t.conf:3: pools[0].backends[0].id: \"ed793a\" does not fit size 1; accepted: 2 hex digits" },
	{ .backend = "id = \"zz\"; address = \"127.0.0.1:6001\";",
	  .errors = "t.conf:3: pools[0].backends[0].id: \"zz\" does not fit size 1; accepted: 2 hex digits" },
	{ .backend = "id = true; address = \"127.0.0.1:6001\";",
	  .errors =
		  "t.conf:3: pools[0].backends[0].id: not a server id; accepted: a number or 2 hex digits in quotes" },
	{ .backend = BACKEND "}, { name = \"a\"; id = \"01\"; address = \"127.0.0.1:6002\";",
	  .errors = "t.conf:3: pools[0].backends[1].name: \"a\" is already the name of backends[0]\n"
		    "t.conf:3: pools[0].backends[1].id: already the id of backends[0]" },
	{ .backend = "id = 1; address = \"0.0.0.0:6001\";",
	  .errors = "t.conf:3: pools[0].backends[0].address: \"0.0.0.0:6001\": a backend needs an address of its own; "
		    "accepted: that of one host" },
	{ .backend = BACKEND "state = \"down\";",
	  .errors = "t.conf:3: pools[0].backends[0].state: \"down\" is unknown; accepted: ready, drain, maint" },
	/* integers that libconfig would wrap to 8, 1, or nonsense */
	{ .pool = CID "nat = { max_flows = 4294967304; };",
	  .errors = "t.conf:2: pools[0].nat.max_flows: 4294967304 is out of range; accepted: 8..50000000" },
	{ .pool = CID "nat = { max_flows = 0x100000008; };",
	  .errors = "t.conf:2: pools[0].nat.max_flows: 4294967304 is out of range; accepted: 8..50000000" },
	{ .pool = CID "nat = { max_flows = 4294967304L; };",
	  .errors = "t.conf:2: pools[0].nat.max_flows: 4294967304 is out of range; accepted: 8..50000000" },
	{ .pool = CID "nat = { max_flows = 18446744073709551624LL; };",
	  .errors = "t.conf:2: pools[0].nat.max_flows: beyond 64 bits; accepted: 8..50000000" },
	{ .pool = CID "nat = { max_flows = 0x10000000000000008L; };",
	  .errors = "t.conf:2: pools[0].nat.max_flows: beyond 64 bits; accepted: 8..50000000" },
	{ .pool = CID "nat = { max_flows = -18446744073709551608; };",
	  .errors = "t.conf:2: pools[0].nat.max_flows: beyond 64 bits; accepted: 8..50000000" },
	{ .pool = CID "nat = { idle_s = -4294967295; };",
	  .errors = "t.conf:2: pools[0].nat.idle_s: -4294967295 is out of range; accepted: 1..86400 s" },
	{ .backend = "id = 4294967297; address = \"127.0.0.1:6001\";",
	  .errors = "t.conf:3: pools[0].backends[0].id: 4294967297 does not fit size 1; accepted: 0..255" },
	{ .backend = "id = 18446744073709551617; address = \"127.0.0.1:6001\";",
	  .errors = "t.conf:3: pools[0].backends[0].id: beyond 64 bits; accepted: 0..255 or 2 hex digits in quotes" },
	{ .pool = "cid = { scheme = \"node-id\"; length = 20; size = 8; };",
	  .backend = "id = 9223372036854775806; address = \"127.0.0.1:6001\";",
	  .errors = "" },
	/* what libconfig itself refuses comes alone */
	{ .top = "workers = 1; workers = 2; colour = 1;", .errors = "t.conf:4: duplicate setting name" },
	{ .top = "\n\nworkers = ;", .errors = "t.conf:6: syntax error: a value is missing behind =" },
	{ .top = "\n@include \"/etc/passwd\"\n",
	  .errors = "t.conf:5: @include is not supported; put everything into one file" },
};

START_TEST(one_mistake)
{
	expect_mistake(&cases[_i]);
}
END_TEST

/* "{}" is where the number goes. */
static const struct {
	const char *path, *pool, *backend, *top;
	int min, max;
	const char *unit;
} ranges[] = {
	{ "4: workers", .top = "workers = {};", .min = 0, .max = 64, .unit = "" },
	{ "2: pools[0].cid.length", "cid = { scheme = \"hash\"; length = {}; };", .min = 1, .max = 20,
	  .unit = " octets" },
	{ "2: pools[0].cid.offset", "cid = { scheme = \"node-id\"; length = 20; offset = {}; };", .min = 0, .max = 19,
	  .unit = " octets" },
	{ "2: pools[0].cid.size", "cid = { scheme = \"node-id\"; length = 20; size = {}; };", .min = 1, .max = 15,
	  .unit = " octets" },
	{ "2: pools[0].cid.configs[0].rotation", QUIC_LB("rotation = {}; server_id_length = 1; nonce_length = 4;"),
	  .min = 0, .max = 6, .unit = "" },
	{ "2: pools[0].cid.configs[0].nonce_length", QUIC_LB("rotation = 1; server_id_length = 1; nonce_length = {};"),
	  .min = 4, .max = 18, .unit = " octets" },
	{ "2: pools[0].nat.idle_s", CID "nat = { idle_s = {}; };", .min = 1, .max = 86400, .unit = " s" },
	{ "2: pools[0].nat.cid_idle_s", CID "nat = { cid_idle_s = {}; };", .min = 1, .max = 2000000, .unit = " s" },
	{ "2: pools[0].tunnel.cid_idle_s",
	  CID "forward = \"tunnel\"; tunnel = { local = \"127.0.0.1:7200\"; keys = ( { id = 1; key = "
	      "\"000102030405060708090a0b0c0d0e0f\"; } ); cid_idle_s = {}; };",
	  .min = 1, .max = 2000000, .unit = " s" },
	{ "2: pools[0].nat.max_flows", CID "nat = { ports = \"1-64\"; max_flows = {}; };", .min = 8, .max = 50000000,
	  .unit = "" },
	{ "2: pools[0].nat.unproven_rate", CID "nat = { unproven_rate = {}; };", .min = 0, .max = 1000000000,
	  .unit = " octets a second" },
	{ "2: pools[0].health.interval_ms", CID "health = { interval_ms = {}; };", .min = 10, .max = 3600000,
	  .unit = " ms" },
	{ "2: pools[0].health.timeout_ms", CID "health = { timeout_ms = {}; };", .min = 1, .max = 60000,
	  .unit = " ms" },
	{ "2: pools[0].health.rise", CID "health = { rise = {}; };", .min = 1, .max = 255, .unit = "" },
	{ "2: pools[0].health.fall", CID "health = { fall = {}; };", .min = 1, .max = 255, .unit = "" },
	{ "2: pools[0].health.port", CID "health = { port = {}; };", .min = 1, .max = 65535, .unit = "" },
	{ "2: pools[0].hello_rate.pool", CID "hello_rate = { pool = {}; };", .min = 0, .max = 1000000,
	  .unit = " per second" },
	{ "2: pools[0].hello_rate.backend", CID "hello_rate = { backend = {}; };", .min = 0, .max = 1000000,
	  .unit = " per second" },
	{ "2: pools[0].hello_rate.prefix", CID "hello_rate = { prefix = {}; };", .min = 0, .max = 1000000,
	  .unit = " per second" },
	{ "3: pools[0].backends[0].weight", CID, BACKEND "weight = {};", .min = 0, .max = 256, .unit = "" },
};

static const char *with_number(int range, int number)
{
	const char *pool = ranges[range].pool ? ranges[range].pool : CID;
	const char *backend = ranges[range].backend ? ranges[range].backend : BACKEND;
	static char text[8192];
	char *at;

	strcpy(text, compose(LISTENER, pool, backend, ranges[range].top ? ranges[range].top : ""));
	at = strstr(text, "{}");
	ck_assert_ptr_nonnull(at);
	char *rest = strdup(at + 2);
	sprintf(at, "%d%s", number, rest);
	free(rest);
	return text;
}

START_TEST(number_boundaries)
{
	const int min = ranges[_i].min, max = ranges[_i].max;
	char error[256];

	expect_errors(with_number(_i, min), "");
	expect_errors(with_number(_i, max), "");
	snprintf(error, sizeof error, "t.conf:%s: %d is out of range; accepted: %d..%d%s", ranges[_i].path, min - 1,
		 min, max, ranges[_i].unit);
	expect_errors(with_number(_i, min - 1), error);
	snprintf(error, sizeof error, "t.conf:%s: %d is out of range; accepted: %d..%d%s", ranges[_i].path, max + 1,
		 min, max, ranges[_i].unit);
	expect_errors(with_number(_i, max + 1), error);
}
END_TEST

static const struct {
	const char *pool, *top, *warnings;
} warned[] = {
	{ CID, "", "" },
	{ "cid = { scheme = \"hash\"; length = 8; };", "",
	  "t.conf:2: pools[0].cid.scheme: with \"hash\", adding a backend moves sessions; only for servers that share "
	  "session state" },
	{ QUIC_LB(ROTATION(0, 1, 7) CID_KEY "}, {" ROTATION(1, 1, 7) CID_KEY), "", "" },
	{ QUIC_LB(ROTATION(0, 1, 7) CID_KEY "}, {" ROTATION(1, 1, 7)), "",
	  "t.conf:2: pools[0].cid.configs[1].key: missing: everyone can read the server ids in the CIDs" },
	{ QUIC_LB(ROTATION(0, 1, 7) CID_KEY "}, {" ROTATION(1, 1, 8) CID_KEY), "",
	  "t.conf:2: pools[0].cid.configs[1]: CIDs of 10 octets, those of configs[0] have 9: only for servers that "
	  "take the length of a "
	  "CID "
	  "from its first octet" },
	{ "cid = { scheme = \"none\"; };", "",
	  "t.conf:2: pools[0].cid.scheme: with \"none\", sessions are lost when devices change address" },
	{ "protocol = \"udp\"; health = { probe = \"none\"; };", "", "" },
	{ CID "health = { path = \"/a\"; psk_identity = \"i\"; psk_key = \"@FILE\"; };", "",
	  "t.conf:2: pools[0].health.path: no effect with probe \"dtls\"\n"
	  "t.conf:2: pools[0].health.psk_identity: no effect with probe \"dtls\"\n"
	  "t.conf:2: pools[0].health.psk_key: no effect with probe \"dtls\"" },
	{ CID HEALTH("http", "psk_identity = \"i\"; port = 1;"), "",
	  "t.conf:2: pools[0].health.psk_identity: no effect with probe \"http\"" },
	{ COAPS("00", "path = \"/a\"; port = 1;"), "", "" },
	{ CID HEALTH("none", "port = 1;"), "", "t.conf:2: pools[0].health.port: no effect with probe \"none\"" },
	{ CID, "admin = { http = \"[::1]:9180\"; };", "" },
	{ CID, "admin = { http = \"0.0.0.0:9180\"; };",
	  "t.conf:4: admin.http: not on loopback: everyone who reaches it sees metrics and states" },
};

START_TEST(warnings)
{
	expect_warnings(compose(LISTENER, warned[_i].pool, BACKEND, warned[_i].top), warned[_i].warnings);
}
END_TEST

START_TEST(nobody_names_a_pool)
{
	expect_errors("user = \"nobody\"; hash_key = \"000102030405060708090a0b0c0d0e0f\";\n"
		      "listeners = ( { name = \"l\"; address = \"127.0.0.1:5684\"; pool = \"p\"; } );\n"
		      "pools = ( { name = \"p\"; protocol = \"udp\"; backends = ( { name = \"a\"; address = "
		      "\"127.0.0.1:1\"; } ); },\n"
		      "          { name = \"q\"; protocol = \"udp\"; backends = ( { name = \"a\"; address = "
		      "\"127.0.0.1:1\"; } ); } );",
		      "t.conf:4: pools[1]: no listener names pool \"q\"");
}
END_TEST

START_TEST(nothing_at_all)
{
	static const char missing[] =
		"t.conf:1: hash_key: missing\nt.conf:1: listeners: missing\nt.conf:1: pools: missing";

	expect_errors(" user = \"nobody\";", missing);
	expect_errors("user = \"nobody\"; # and a comment", missing);
	expect_errors("user = \"nobody\"; listeners = (); pools = (); hash_key = \"\";",
		      "t.conf:1: listeners: 0 entries; accepted: 1..64\n"
		      "t.conf:1: pools: 0 entries; accepted: 1..64\n"
		      "t.conf:1: hash_key: not 32 hex digits nor \"@FILE\"; make one with: openssl rand -hex 16");
}
END_TEST

START_TEST(twelve_mistakes)
{
	expect_errors("workers = 65; user = \"nobody\";\n"
		      "hash-key = \"blue\";\n"
		      "hash_key = \"0011\";\n"
		      "listeners = (\n"
		      "  { name = \"l\"; address = \"127.0.0.1:5684\"; pool = \"p\"; },\n"
		      "  { name = \"l\"; address = \"127.0.0.1:5685\"; pool = \"p\"; }\n"
		      ");\n"
		      "pools = ( {\n"
		      "  name = \"p\";\n"
		      "  cid = { scheme = \"node-id\"; lenght = 6;\n"
		      "          length = 6; };\n"
		      "  nat = { idle_s = 4294967297;\n"
		      "          ports = \"1-99\"; };\n"
		      "  health = { probe = \"ping\"; };\n"
		      "  backends = (\n"
		      "    { name = \"a\"; id = 1; address = \"127.0.0.1:6001\"; weight = 257; },\n"
		      "    { name = \"b\"; id = 300; address = \"127.0.0.1:6002\"; },\n"
		      "    { name = \"c\"; id = 1; address = \"127.0.0.1:6003\"; },\n"
		      "    { name = \"d\"; id = 4; address = \"server example:6004\"; }\n"
		      "  );\n"
		      "} );\n",
		      "t.conf:1: workers: 65 is out of range; accepted: 0..64\n"
		      "t.conf:2: hash-key: unknown; did you mean \"hash_key\"?\n"
		      "t.conf:3: hash_key: not 32 hex digits nor \"@FILE\"; make one with: openssl rand -hex 16\n"
		      "t.conf:6: listeners[1].name: \"l\" is already the name of listeners[0]\n"
		      "t.conf:10: pools[0].cid.lenght: unknown; did you mean \"length\"?\n"
		      "t.conf:12: pools[0].nat.idle_s: 4294967297 is out of range; accepted: 1..86400 s\n"
		      "t.conf:13: pools[0].nat.ports: \"1-99\" is no port range; accepted: PORT, or LOW-HIGH of at "
		      "most 64 ports\n"
		      "t.conf:14: pools[0].health.probe: \"ping\" is unknown; accepted: dtls, coap, coaps, http, none\n"
		      "t.conf:16: pools[0].backends[0].weight: 257 is out of range; accepted: 0..256\n"
		      "t.conf:17: pools[0].backends[1].id: 300 does not fit size 1; accepted: 0..255\n"
		      "t.conf:18: pools[0].backends[2].id: already the id of backends[0]\n"
		      "t.conf:19: pools[0].backends[3].address: \"server example:6004\": no host name; accepted: 1..63 "
		      "letters, digits, '_' "
		      "and inner '-' between dots, in all at most 253");
}
END_TEST

START_TEST(too_many)
{
	static char text[1 << 17];
	size_t n;

	for (int backends = 1024; backends <= 1025; backends++) {
		n = (size_t)sprintf(text,
				    "user = \"nobody\"; hash_key = \"000102030405060708090a0b0c0d0e0f\";\n"
				    "listeners = ( { name = \"l\"; address = \"127.0.0.1:5684\"; pool = \"p\"; } );\n"
				    "pools = ( { name = \"p\"; protocol = \"udp\"; backends = ( ");
		for (int i = 0; i < backends; i++)
			n += (size_t)sprintf(text + n, "%s{ name = \"b%d\"; address = \"127.0.0.1:%d\"; }",
					     i ? ", " : "", i, 1 + i);
		strcpy(text + n, "); } );");
		expect_errors(text,
			      backends == 1024 ? "" : "t.conf:3: pools[0].backends: 1025 entries; accepted: 1..1024");
	}
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_unchecked_fixture(tests, conf_dir_enter, conf_dir_leave);
	tcase_add_loop_test(tests, one_mistake, 0, COUNT_OF(cases));
	tcase_add_loop_test(tests, number_boundaries, 0, COUNT_OF(ranges));
	tcase_add_loop_test(tests, warnings, 0, COUNT_OF(warned));
	tcase_add_test(tests, nobody_names_a_pool);
	tcase_add_test(tests, nothing_at_all);
	tcase_add_test(tests, twelve_mistakes);
	tcase_add_test(tests, too_many);
}
