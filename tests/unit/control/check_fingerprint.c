#include "control/fingerprint.h"

#include "tests/fixtures/conf_fixture.h"
#include "tests/unit/suite.h"

#define KEY   "000102030405060708090a0b0c0d0e0f"
#define OTHER "000102030405060708090a0b0c0d0e10"

/* One of everything that counts. Each line below changes one thing of it. */
#define FILE_TEXT                                                                                                      \
	"workers = 2; user = \"nobody\"; hash_key = \"" KEY "\"; state_file = \"\"; rcvbuf_octets = 8192;\n"           \
	"admin = { http = \"127.0.0.1:9180\"; };\n"                                                                    \
	"listeners = ( { name = \"l\"; address = \"127.0.0.1:5684\"; pool = \"p\"; },\n"                               \
	"              { name = \"m\"; address = \"127.0.0.1:5683\"; pool = \"q\"; } );\n"                             \
	"pools = ( { name = \"p\"; affinity = \"address-port\"; unknown_cid = \"drop\"; cid = { scheme = "             \
	"\"quic-lb\"; configs = (\n"                                                                                   \
	"                { rotation = 0; server_id_length = 2; nonce_length = 6; key = "                               \
	"\"8f95f09245765f80256934e50c66207f\"; },\n"                                                                   \
	"                { rotation = 1; server_id_length = 2; nonce_length = 6; key = "                               \
	"\"fdf726a9893ec05c0632d3956680baf0\"; } ); };\n"                                                              \
	"            nat = { rebind = \"follow\"; sources = [ \"127.64.0.0/10\" ]; ports = \"40684-40691\"; "          \
	"max_flows = 1000; };\n"                                                                                       \
	"            health = { probe = \"dtls\"; interval_ms = 2000; all_down = \"hash\"; };\n"                       \
	"            hello_rate = { backend = 1000; };\n"                                                              \
	"            backends = ( { name = \"a\"; id = 1; address = \"127.0.0.1:6001\"; weight = 100; state = "        \
	"\"ready\"; },\n"                                                                                              \
	"                         { name = \"b\"; id = \"0002\"; address = \"b.example:6002\"; } ); },\n"              \
	"          { name = \"q\"; protocol = \"udp\"; nat = { ports = \"40700\"; };\n"                                \
	"            backends = ( { name = \"a\"; address = \"127.0.0.1:6003\"; } ); } );\n"

/* FILE_TEXT with `to` in place of each `from`, which must be in it. */
static const char *edited(const char *from, const char *to)
{
	static const char text[] = FILE_TEXT;
	static char out[sizeof text + 512];
	const char *rest = text, *at;
	size_t n = 0;

	ck_assert_msg(strstr(text, from) != NULL, "not there: %s", from);
	for (; (at = strstr(rest, from)); rest = at + strlen(from))
		n += (size_t)snprintf(out + n, sizeof out - n, "%.*s%s", (int)(at - rest), rest, to);
	n += (size_t)snprintf(out + n, sizeof out - n, "%s", rest);
	ck_assert_uint_lt(n, sizeof out);
	return out;
}

static void fingerprint_of(char out[static FINGERPRINT_TEXT_OCTETS], const char *text)
{
	struct conf_report report;
	struct conf *conf = load_text(&report, text);

	ck_assert_msg(conf, "%s", join_lines(report.errors, report.error_count));
	ck_assert_ptr_eq(fingerprint_format(out, conf), out);
	conf_free(conf);
	conf_report_free(&report);
}

static void expect_same(const char *text)
{
	char of_file[FINGERPRINT_TEXT_OCTETS], other[FINGERPRINT_TEXT_OCTETS];

	fingerprint_of(of_file, FILE_TEXT);
	fingerprint_of(other, text);
	ck_assert_str_eq(of_file, other);
}

#define TUNNEL(local, id, key)                                                                                         \
	"protocol = \"udp\"; forward = \"tunnel\"; tunnel = { local = \"" local "\"; keys = ( { id = " id              \
	"; key = \"" key "\"; } ); }"

struct edit {
	const char *from, *to;
};

static const struct edit counting[] = {
	{ "hash_key = \"" KEY, "hash_key = \"" OTHER },
	{ "state_file", "hash_key_previous = \"" OTHER "\"; state_file" },
	{ "state_file", "hash_key_previous = \"100102030405060708090a0b0c0d0e0f\"; state_file" },
	{ "name = \"l\"", "name = \"k\"" },
	{ ":5684", ":5685" },
	{ "listeners = (", "listeners = ( { name = \"n\"; address = \"127.0.0.1:1\"; pool = \"q\"; }," },
	{ "listeners = (", "listeners = ( { name = \"n\"; address = \"127.0.0.1:1\"; pool = \"p\"; }," },
	{ "\"p\"", "\"r\"" },
	{ "protocol = \"udp\"", "cid = { scheme = \"none\"; }" },
	{ "protocol = \"udp\"", "cid = { scheme = \"hash\"; length = 6; }" },
	{ "protocol = \"udp\"", "cid = { scheme = \"hash\"; length = 7; }" },
	{ "protocol = \"udp\"", TUNNEL("127.0.0.1:7200", "1", OTHER) },
	{ "protocol = \"udp\"", TUNNEL("127.0.0.1:7200", "2", OTHER) },
	{ "protocol = \"udp\"", TUNNEL("127.0.0.1:7200", "1", KEY) },
	{ "\"address-port\"", "\"address\"" },
	{ "unknown_cid = \"drop\"", "unknown_cid = \"hash\"" },
	{ "rotation = 0", "rotation = 2" },
	{ "nonce_length = 6", "nonce_length = 7" },
	{ "8f95", "8f94" },
	{ "fdf7", "fdf6" },
	{ "\"follow\"", "\"backend\"" },
	{ "all_down = \"hash\"", "all_down = \"drop\"" },
	{ "name = \"b\"", "name = \"c\"" },
	{ "id = 1", "id = 3" },
	{ "id = 1", "id = 1; may_claim = \"any\"" },
	{ "id = 1", "id = 1; may_claim = [ 2 ]" },
	{ "id = 1", "id = 1; may_claim = [ 2, 3 ]" },
	{ "rebind = \"follow\"", "rebind = \"follow\"; contest = \"home\"" },
	{ "127.0.0.1:6001", "127.0.0.2:6001" },
	{ "127.0.0.1:6001", "127.0.0.1:6004" },
	{ "127.0.0.1:6001", "a.example:6001" },
	{ "b.example", "c.example" },
	{ ":6002", ":6004" },
	{ "weight = 100", "weight = 99" },
	{ "state = \"ready\"", "state = \"drain\"" },
	{ "backends = ( { name = \"a\"; id = 1;",
	  "backends = ( { name = \"z\"; id = 9; address = \"127.0.0.1:1\"; }, { name = \"a\"; id = 1;" },
};

START_TEST(what_counts)
{
	char seen[COUNT_OF(counting) + 1][FINGERPRINT_TEXT_OCTETS];

	fingerprint_of(seen[0], FILE_TEXT);
	for (int i = 0; i < COUNT_OF(counting); i++) {
		fingerprint_of(seen[i + 1], edited(counting[i].from, counting[i].to));
		for (int j = 0; j <= i; j++)
			ck_assert_msg(strcmp(seen[i + 1], seen[j]) != 0, "\"%s\" to \"%s\" is the same as entry %d",
				      counting[i].from, counting[i].to, j - 1);
	}
}
END_TEST

static const struct edit of_the_node[] = {
	{ "workers = 2", "workers = 3" },
	{ "rcvbuf_octets = 8192", "rcvbuf_octets = 8193" },
	{ "state_file = \"\"", "state_file = \"/run/s\"" },
	{ "127.0.0.1:9180", "127.0.0.2:9181" },
	{ "127.0.0.1:5684", "127.0.0.2:5684" },
	{ "127.0.0.1:5684", "[::1]:5684" },
	{ "127.64.0.0", "127.128.0.0" },
	{ "40684-40691", "40684" },
	{ "max_flows = 1000", "max_flows = 1001; unproven_rate = 5; idle_s = 200; cid_idle_s = 1000" },
	{ "probe = \"dtls\"; interval_ms = 2000", "probe = \"none\"; interval_ms = 1000; rise = 9" },
	{ "backend = 1000", "pool = 5" },
	/* Other texts with the same meaning. */
	{ "id = 1", "id = \"0001\"" },
	{ "id = \"0002\"", "id = 2" },
	{ "b.example", "B.Example" },
	{ "8f95", "8F95" },
	{ "weight = 100; ", "" },
};

START_TEST(what_does_not)
{
	expect_same(edited(of_the_node[_i].from, of_the_node[_i].to));
}
END_TEST

START_TEST(order)
{
	expect_same("pools = ( { name = \"q\"; backends = ( { name = \"a\"; address = \"127.0.0.1:6003\"; } ); "
		    "protocol = \"udp\"; },\n"
		    "  { name = \"p\"; backends = ( { name = \"b\"; id = 2; address = \"b.example:6002\"; },\n"
		    "      { name = \"a\"; id = 1; address = \"127.0.0.1:6001\"; } ); nat = { sources = [ "
		    "\"127.64.0.0/10\" ]; };\n"
		    "    cid = { scheme = \"quic-lb\"; configs = (\n"
		    "      { rotation = 1; server_id_length = 2; nonce_length = 6; key = "
		    "\"fdf726a9893ec05c0632d3956680baf0\"; },\n"
		    "      { rotation = 0; server_id_length = 2; nonce_length = 6; key = "
		    "\"8f95f09245765f80256934e50c66207f\"; } ); }; } );\n"
		    "listeners = ( { name = \"m\"; address = \"127.0.0.1:5683\"; pool = \"q\"; },\n"
		    "  { name = \"l\"; address = \"127.0.0.1:5684\"; pool = \"p\"; } );\n"
		    "user = \"nobody\"; hash_key = \"" KEY "\";\n");
}
END_TEST

#define STATELESS(prefix, service, ports)                                                                              \
	"hash_key = \"" KEY "\"; user = \"nobody\"; listeners = ( { name = \"l\"; address = \"" service                \
	"\"; pool = \"p\"; } );"                                                                                       \
	"pools = ( { name = \"p\"; cid = { scheme = \"node-id\"; length = 6; };"                                       \
	"nat = { rebind = \"backend\"; sources = [ \"" prefix "\" ]; ports = \"" ports "\"; };"                        \
	"backends = ( { name = \"a\"; id = 1; address = \"[2001:db8::1]:6001\"; } ); } );"

/* All nodes have the same endpoints, and the check covers the service address as well. With a table each node has its
 * own. */
START_TEST(without_a_table)
{
	static const char *const files[] = {
		STATELESS("2001:db8:0:100::/56", "192.0.2.1:5684", "40684"),
		STATELESS("2001:db8:0:200::/56", "192.0.2.1:5684", "40684"),
		STATELESS("2001:db8:0:100::/57", "192.0.2.1:5684", "40684"),
		STATELESS("2001:db8:0:100::/56", "192.0.2.2:5684", "40684"),
		STATELESS("2001:db8:0:100::/56", "192.0.2.1:5684", "40685"),
		STATELESS("2001:db8:0:100::/56", "0.0.0.0:5684", "40684"),
	};
	char seen[COUNT_OF(files)][FINGERPRINT_TEXT_OCTETS], same[FINGERPRINT_TEXT_OCTETS];

	for (int i = 0; i < COUNT_OF(files); i++) {
		fingerprint_of(seen[i], files[i]);
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(seen[i], seen[j]);
	}
	fingerprint_of(same, STATELESS("2001:db8:0:200::/56", "[::]:5684", "40685"));
	ck_assert_str_eq(same, seen[COUNT_OF(files) - 1]);
}
END_TEST

/* If backends change pools, the sum of names stays as it was, but not that of lines. */
START_TEST(exchange)
{
	static const char *const files[] = {
		"hash_key = \"" KEY
		"\"; user = \"nobody\"; listeners = ( { name = \"l\"; address = \"127.0.0.1:1\"; pool = \"p\"; },"
		"{ name = \"m\"; address = \"127.0.0.1:2\"; pool = \"q\"; } ); pools = ("
		"{ name = \"p\"; protocol = \"udp\"; backends = ( { name = \"a\"; address = \"127.0.0.1:6001\"; } ); },"
		"{ name = \"q\"; protocol = \"udp\"; backends = ( { name = \"b\"; address = \"127.0.0.1:6002\"; } ); } "
		");",
		"hash_key = \"" KEY
		"\"; user = \"nobody\"; listeners = ( { name = \"l\"; address = \"127.0.0.1:1\"; pool = \"p\"; },"
		"{ name = \"m\"; address = \"127.0.0.1:2\"; pool = \"q\"; } ); pools = ("
		"{ name = \"p\"; protocol = \"udp\"; backends = ( { name = \"b\"; address = \"127.0.0.1:6002\"; } ); },"
		"{ name = \"q\"; protocol = \"udp\"; backends = ( { name = \"a\"; address = \"127.0.0.1:6001\"; } ); } "
		");",
	};
	char one[FINGERPRINT_TEXT_OCTETS], other[FINGERPRINT_TEXT_OCTETS];

	fingerprint_of(one, files[0]);
	fingerprint_of(other, files[1]);
	ck_assert_str_ne(one, other);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_unchecked_fixture(tests, conf_dir_enter, conf_dir_leave);
	tcase_add_test(tests, what_counts);
	tcase_add_loop_test(tests, what_does_not, 0, COUNT_OF(of_the_node));
	tcase_add_test(tests, order);
	tcase_add_test(tests, without_a_table);
	tcase_add_test(tests, exchange);
}
