/* What is good, but may not be meant. */
#include "tests/fixtures/conf_mistakes.h"
#include "tests/unit/suite.h"

#define SLOWER "a silent server is asked every 1000 ms only, and is down after "
#define SLOW   SLOWER "3 probes"
#define IDLE                                                                                                           \
	"t.conf:3: pools[0].backends: no backend takes new sessions: each has weight 0, or a state other than "        \
	"\"ready\""
#define TWICE   "already the address of backends[0]: one server under two names"
#define AND(to) "}, { name = \"b\"; id = 2; address = \"" to "\";"
#define NAMES   CID "nat = { sources = [ \"10.64.0.0/10\" ]; };"

/* What -t alone says. */
static const struct {
	const char *pool, *backend, *advice;
} advised[] = {
	{ CID, BACKEND, "" },
	/* a probe that is slower than its interval */
	{ CID "health = { interval_ms = 1000; };", BACKEND, "" },
	{ CID "health = { interval_ms = 999; };", BACKEND,
	  "t.conf:2: pools[0].health.interval_ms: probes time out after 1000 ms, and begin every 999 ms: " SLOW },
	{ CID "health = { interval_ms = 999; fall = 1; };", BACKEND,
	  "t.conf:2: pools[0].health.interval_ms: probes time out after 1000 ms, and begin every 999 ms: " SLOWER
	  "1 probe" },
	{ CID "health = { interval_ms = 999; timeout_ms = 1000; };", BACKEND,
	  "t.conf:2: pools[0].health.timeout_ms: probes time out after 1000 ms, and begin every 999 ms: " SLOW },
	{ CID "health = { probe = \"none\"; interval_ms = 999; };", BACKEND, "" },
	/* one server twice */
	{ CID, BACKEND AND("127.0.0.1:6001"), "t.conf:3: pools[0].backends[1].address: " TWICE },
	{ CID, BACKEND AND("127.0.0.1:6002"), "" },
	{ NAMES, "id = 1; address = \"srv.example:1\";" AND("SRV.example:1"),
	  "t.conf:3: pools[0].backends[1].address: " TWICE },
	{ NAMES, "id = 1; address = \"a.example:1\";" AND("b.example:1"), "" },
	{ CID, BACKEND "}, { name = \"s%d\"; count = 3; id_base = 2; address = \"127.0.0.1:600%d\";",
	  "t.conf:3: pools[0].backends[1].address: " TWICE },
	/* nobody for new sessions */
	{ CID, BACKEND "weight = 0;", IDLE },
	{ CID, BACKEND "weight = 0;" AND("127.0.0.1:6002") "state = \"maint\";", IDLE },
	{ CID, BACKEND "weight = 0;" AND("127.0.0.1:6002") "weight = 1;", "" },
	/* a port that cidlb may take */
	{ CID "nat = { sources = [ \"127.0.0.1\" ]; ports = \"6001-6999\"; };", BACKEND,
	  "t.conf:3: pools[0].backends[0].address: 127.0.0.1:6001 is in 6001-6999 of pools[0].nat.ports, and its "
	  "address "
	  "in the sources: cidlb may have the port before the server" },
	{ CID "nat = { sources = [ \"127.0.0.1\" ]; ports = \"6002-6999\"; };", BACKEND, "" },
	{ CID "nat = { sources = [ \"127.0.0.2\" ]; ports = \"6001-6999\"; };", BACKEND, "" },
};

START_TEST(advice)
{
	struct conf_report report;
	struct conf *conf = load_text(&report, compose(LISTENER, advised[_i].pool, advised[_i].backend, ""));

	ck_assert_ptr_nonnull(conf);
	ck_assert_str_eq(join_lines(report.advice, report.advice_count), advised[_i].advice);
	ck_assert_str_eq(join_lines(report.warnings, report.warning_count), "");
	conf_free(conf);
	conf_report_free(&report);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_unchecked_fixture(tests, conf_dir_enter, conf_dir_leave);
	tcase_add_loop_test(tests, advice, 0, COUNT_OF(advised));
}
