/* When probes ask, whatever they ask. */
#include <sys/resource.h>

#include "health/probe_hello.h"
#include "tests/fixtures/health_fixture.h"
#include "tests/unit/suite.h"

/* Each probe is a fresh one; between two are 90 % of the interval or more. The event loop counts from when it woke up.
 * On a busy machine that may be some time before what it woke up for is done, and the next one comes so much sooner. */
START_TEST(test_probes_repeat)
{
	enum { TIMES = 13, SOONER = 4, INTERVAL_US = 60000 };
	unsigned sooner = 0;

	manner = ANSWER;
	say = verify_request;
	say_len = sizeof verify_request;
	health_set_targets(health, &target, 1);
	run(TIMES, 20000);
	ck_assert_uint_eq(report_count, TIMES);
	for (size_t i = 1; i < TIMES; i++) {
		ck_assert(reports[i].ok);
		ck_assert_mem_ne(got[i].data + PROBE_HELLO_RANDOM_AT, got[i - 1].data + PROBE_HELLO_RANDOM_AT, 32);
		sooner += reports[i].began_us - reports[i - 1].began_us < INTERVAL_US * 9 / 10 - 2000;
	}
	ck_assert_uint_le(sooner, SOONER);
}
END_TEST

/* A closed port: three probes at once, 20 ms apart, then one per interval. */
START_TEST(test_refused_until_fall)
{
	event_del(server_event);
	close(server);
	target.how.interval_ms = 2000;
	health_set_targets(health, &target, 1);
	run(4, 20000);
	ck_assert_uint_eq(report_count, 4);
	for (size_t i = 0; i < 4; i++) {
		ck_assert(!reports[i].ok);
		ck_assert_str_eq(reports[i].reason, "connection refused");
	}
	/* Whatever the machine is busy with: not all in one turn, and those at once closer to each other than the next
	 * one to them. */
	ck_assert_uint_gt(reports[1].at_ms, reports[0].at_ms);
	ck_assert_uint_gt(reports[3].at_ms - reports[2].at_ms, reports[2].at_ms - reports[0].at_ms);
	bind_loopback(&server);
}
END_TEST

START_TEST(test_none_reports_once)
{
	target.how.probe = PROBE_NONE;
	probe_once();
	ck_assert(reports[0].ok);
	ck_assert_uint_eq(reports[0].took_us, 0);
	health_set_targets(health, &target, 1);
	run(2, 150);
	ck_assert_uint_eq(report_count, 1);
	ck_assert_uint_eq(got_count, 0);
}
END_TEST

/* A reload: one target stays as it is, one gets other settings, one goes. */
START_TEST(test_set_targets)
{
	struct health_target all[2] = { target, target };

	all[1].uid = 8;
	manner = ANSWER;
	say = verify_request;
	say_len = sizeof verify_request;
	target.how.interval_ms = all[0].how.interval_ms = all[1].how.interval_ms = 10000;
	health_set_targets(health, all, 2);
	run(2, 20000);
	ck_assert_uint_eq(got_count, 2);

	all[0].how.rise = 9; /* not the prober's business */
	health_set_targets(health, all, 1);
	run(3, 100);
	ck_assert_uint_eq(report_count, 2);

	all[0].how.interval_ms = 60;
	health_set_targets(health, all, 1);
	run(4, 20000);
	ck_assert_uint_eq(report_count, 4);
	ck_assert_uint_eq(reports[2].uid, 7);
	ck_assert_uint_eq(reports[3].uid, 7);

	health_set_targets(health, NULL, 0);
	run(5, 150);
	ck_assert_uint_eq(report_count, 4);
}
END_TEST

START_TEST(test_suspect)
{
	manner = ANSWER;
	say = verify_request;
	say_len = sizeof verify_request;
	target.how.interval_ms = 10000;
	probe_once();
	health_suspect(health, 7);
	health_suspect(health, 7);
	health_suspect(health, 99);
	run(2, 20000);
	ck_assert_uint_eq(report_count, 2);
	ck_assert_uint_ge(reports[1].began_us - reports[0].began_us, 95000);
	run(3, 150);
	ck_assert_uint_eq(report_count, 2);
}
END_TEST

/* A target taken away by the report of its own probe. */
static void remove_all(void *ctx, uint16_t uid, const struct health_result *result)
{
	health_set_targets(health, NULL, 0);
	on_report(ctx, uid, result);
}

START_TEST(test_report_may_remove)
{
	health_free(health);
	health = health_new(base, remove_all, NULL);
	probe_answered_by(verify_request, sizeof verify_request);
	run(2, 150);
	ck_assert_uint_eq(report_count, 1);
}
END_TEST

/* More targets than descriptors: those that get one are probed, the others say why they are not. */
START_TEST(test_no_descriptors)
{
	static struct health_target many[50];
	struct rlimit few = { .rlim_cur = 40, .rlim_max = 40 };
	size_t ok = 0;

	manner = ANSWER;
	say = verify_request;
	say_len = sizeof verify_request;
	for (size_t i = 0; i < 50; i++) {
		many[i] = make_target((uint16_t)(i + 7), target.addr.port, PROBE_DTLS);
		many[i].how.interval_ms = many[i].how.timeout_ms = 60000;
	}
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_eq(health_set_targets(health, many, 50), 0);
	run(50, 20000);
	ck_assert_uint_eq(report_count, 50);
	for (size_t i = 0; i < 50; i++) {
		ck_assert(reports[i].ok != reports[i].unasked);
		ck_assert_str_eq(reports[i].reason,
				 reports[i].ok ? "HelloVerifyRequest or HelloRetryRequest" : "Too many open files");
		ok += reports[i].ok;
	}
	ck_assert_uint_ge(ok, 10);
	ck_assert_uint_lt(ok, 40);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 30);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_probes_repeat);
	tcase_add_test(tests, test_refused_until_fall);
	tcase_add_test(tests, test_none_reports_once);
	tcase_add_test(tests, test_set_targets);
	tcase_add_test(tests, test_suspect);
	tcase_add_test(tests, test_report_may_remove);
	tcase_add_test(tests, test_no_descriptors);
}
