/* What a configuration may need, against the hard limit. That it is what really runs needs is for
 * tests/e2e/scale.py. */
#include <sys/resource.h>

#include "admin/http.h"
#include "admin/socket.h"
#include "health/nameservers.h"
#include "health/resolve.h"
#include "tests/fixtures/conf_fixture.h"
#include "tests/unit/suite.h"

_Static_assert((int)CONF_HTTP_CLIENTS == (int)ADMIN_HTTP_CLIENTS, "conf/ cannot include admin/");
_Static_assert((int)RESOLVE_AT_ONCE == 64 && (int)NAMESERVERS_ASKED == 2, "as conf/descriptors.c counts them");
_Static_assert((int)CONF_SOCKET_CLIENTS == (int)ADMIN_SOCKET_CLIENTS, "conf/ cannot include admin/");

/* Of cidlb itself, without doors and with two workers. */
enum { OTHERS = 22 };

#define HEAD         "hash_key = \"000102030405060708090a0b0c0d0e0f\"; user = \"nobody\"; workers = 2; state_file = \"\";\n"
#define NO_DOORS     "admin = { socket = \"\"; };\n"
#define LISTENER(of) "{ name = \"" of "\"; address = \"127.0.0.1:568" of "\"; pool = \"" of "\"; }"
#define POOL(name_, nat_, probe_, backends_)                                                                           \
	"{ name = \"" name_ "\"; protocol = \"udp\"; " nat_ " health = { probe = \"" probe_                            \
	"\"; }; backends = ( " backends_ " ); }"
#define NAT(sources_, ports_) "nat = { sources = [ " sources_ " ]; ports = \"" ports_ "\"; };"
#define ADDRESS               "\"127.0.0.1\""
#define PREFIX                "\"127.64.0.0/10\""
#define PREFIX_6              "\"fd00::/64\""
#define A                     "{ name = \"a\"; address = \"127.0.0.1:6001\"; }"
#define B                     "{ name = \"b\"; address = \"127.0.0.1:6002\"; }"
#define B_6                   "{ name = \"b\"; address = \"[::1]:6002\"; }"
#define KEYS                  "keys = ( { id = 1; key = \"101112131415161718191a1b1c1d1e1f\"; } );"
#define TUNNEL                "forward = \"tunnel\"; tunnel = { local = \"127.0.0.1:7200\"; " KEYS " };"
#define COAPS                 "coaps\"; psk_identity = \"i\"; psk_key = \"00"
#define ONE(pool)             HEAD NO_DOORS "listeners = ( " LISTENER("4") " );\npools = ( " pool " );\n"
#define TWO(pool, other)                                                                                               \
	HEAD NO_DOORS "listeners = ( " LISTENER("4") ", " LISTENER("5") " );\npools = ( " pool ", " other " );\n"

/* The listeners are one for each of two workers. */
static const struct {
	const char *text;
	unsigned needed;
} cases[] = {
	{ ONE(POOL("4", NAT(PREFIX, "7000"), "none", A)), OTHERS + 2 + 2 },
	{ ONE(POOL("4", NAT(PREFIX, "7000-7009"), "none", A)), OTHERS + 2 + 20 },
	/* Families of sources have sockets whether or not a server is of them. */
	{ ONE(POOL("4", NAT(PREFIX ", \"127.4.0.0/16\", " PREFIX_6, "7000-7009"), "none", A)), OTHERS + 2 + 40 },
	{ ONE(POOL("4", NAT(PREFIX, "7000"), "coap", A ", " B)), OTHERS + 2 + 2 + 2 },
	{ ONE(POOL("4", NAT(PREFIX, "7000"), "http", A ", " B)), OTHERS + 2 + 2 + 2 },
	{ ONE(POOL("4", NAT(PREFIX, "7000"), COAPS, A ", " B)), OTHERS + 2 + 2 + 4 },
	{ ONE(POOL("4", TUNNEL, "coap", A)), OTHERS + 2 + 2 + 1 },
	{ ONE(POOL("4", TUNNEL, COAPS, A)), OTHERS + 2 + 2 + 1 },
	{ ONE(POOL("4", TUNNEL, COAPS "\"; port = 5000; path = \"/", A)), OTHERS + 2 + 2 + 2 },
	{ ONE(POOL("4", NAT(ADDRESS, "7000-7009"), "none", A)), OTHERS + 2 + 10 },
	{ ONE(POOL("4", NAT(ADDRESS ", \"::1\"", "7000-7009"), "none", A)), OTHERS + 2 + 10 },
	{ ONE(POOL("4", NAT(ADDRESS ", \"::1\"", "7000-7009"), "none", A ", " B_6)), OTHERS + 2 + 20 },
	{ ONE(POOL("4", NAT(ADDRESS, "7000-7009"), "none", "{ name = \"a\"; address = \"a.example:6001\"; }")),
	  OTHERS + 2 + 10 + 2 },
	{ ONE(POOL("4", NAT(PREFIX, "7000"), "none",
		   "{ name = \"a%d\"; count = 63; address = \"a%d.example:6001\"; }")),
	  OTHERS + 2 + 2 + 2 * 63 },
	{ ONE(POOL("4", NAT(PREFIX, "7000"), "none",
		   "{ name = \"a%d\"; count = 65; address = \"a%d.example:6001\"; }")),
	  OTHERS + 2 + 2 + 2 * 64 },
	/* Where pools meet. */
	{ TWO(POOL("4", NAT(PREFIX, "7000-7009"), "none", A),
	      POOL("5", NAT("\"127.4.0.0/16\"", "7005-7014"), "none", A)),
	  OTHERS + 4 + 30 },
	{ TWO(POOL("4", NAT(PREFIX, "7000-7009"), "none", A), POOL("5", NAT(PREFIX_6, "7000-7009"), "none", B_6)),
	  OTHERS + 4 + 40 },
	{ TWO(POOL("4", NAT(ADDRESS, "7000-7009"), "none", A), POOL("5", NAT(ADDRESS, "7000-7009"), "none", A)),
	  OTHERS + 4 + 10 },
	{ TWO(POOL("4", NAT(ADDRESS, "7000-7009"), "none", A), POOL("5", NAT(ADDRESS, "7010-7019"), "none", A)),
	  OTHERS + 4 + 20 },
	{ TWO(POOL("4", NAT(ADDRESS, "7000-7009"), "none", A), POOL("5", NAT("\"127.0.0.2\"", "7000-7009"), "none", A)),
	  OTHERS + 4 + 20 },
	{ TWO(POOL("4", NAT(ADDRESS ", \"::1\"", "7000-7009"), "none", A),
	      POOL("5", NAT("\"::1\"", "7000-7009"), "none", B_6)),
	  OTHERS + 4 + 20 },
	/* Doors, each with one in reserve and 32 who use it. */
	{ HEAD "admin = { socket = \"/s\"; };\nlisteners = ( " LISTENER("4") " );\npools = ( " POOL(
		  "4", NAT(PREFIX, "7000"), "none", A) " );\n",
	  OTHERS + 2 + 2 + 34 },
	{ HEAD "admin = { socket = \"\"; http = \"127.0.0.1:9000\"; };\nlisteners = ( " LISTENER(
		  "4") " );\npools = ( " POOL("4", NAT(PREFIX, "7000"), "none", A) " );\n",
	  OTHERS + 2 + 2 + 34 },
};

static void limit(rlim_t most)
{
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ most, most }), 0);
}

START_TEST(sums)
{
	struct conf_report report;
	char said[64];

	limit(cases[_i].needed);
	expect_errors(cases[_i].text, "");
	limit(cases[_i].needed - 1);
	ck_assert_ptr_null(load_text(&report, cases[_i].text));
	ck_assert_uint_eq(report.error_count, 1);
	snprintf(said, sizeof said, "t.conf:1: may need %u descriptors (", cases[_i].needed);
	ck_assert_msg(strncmp(report.errors[0], said, strlen(said)) == 0, "%s", report.errors[0]);
	conf_report_free(&report);
}
END_TEST

START_TEST(words)
{
	limit(60);
	expect_errors(
		TWO(POOL("4", NAT(ADDRESS, "7000-7029"), "none", A), POOL("5", NAT(PREFIX, "7030-7039"), "none", A)),
		"t.conf:1: may need 76 descriptors (30 for nat.ports of addresses, 22 for cidlb itself, 20 for "
		"nat.ports of prefixes, each for each worker); the limit (ulimit -Hn) is 60: fewer nat.ports, workers "
		"or backends, or "
		"LimitNOFILE=76");
}
END_TEST

/* That line, and no other for the same. */
START_TEST(one_pool_alone)
{
	limit(60);
	expect_errors(
		TWO(POOL("4", NAT(ADDRESS, "7000-7039"), "none", A), POOL("5", NAT(PREFIX, "7100-7109"), "none", B)),
		"t.conf:4: pools[0].nat.ports: 7000-7039 may need 40 descriptors; the limit (ulimit -Hn) leaves 38");
}
END_TEST

START_TEST(beside_other_mistakes)
{
	limit(20);
	expect_errors("worker = 1;\n" ONE(POOL("4", NAT(PREFIX, "7000"), "none", A)),
		      "t.conf:1: worker: unknown; did you mean \"workers\"?");
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, conf_dir_enter, conf_dir_leave);
	tcase_add_loop_test(tests, sums, 0, COUNT_OF(cases));
	tcase_add_test(tests, words);
	tcase_add_test(tests, one_pool_alone);
	tcase_add_test(tests, beside_other_mistakes);
}
