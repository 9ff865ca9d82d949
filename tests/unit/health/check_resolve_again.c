/* When a name is asked for again, and when no more. */
#include "tests/fixtures/dns_fixture.h"
#include "tests/unit/suite.h"

/* What passes before the next question, in the time of the event loop. A timer comes before a longer one that is set in
 * the same turn, however busy the machine is. */
static struct {
	const unsigned *after_ms; /* the reports, one after the other */
	size_t count, passed, asked;
	struct event *timer;
} quiet;

static void on_quiet(int fd, short events, void *ctx)
{
	(void)fd;
	(void)events;
	(void)ctx;
	ck_assert_uint_eq(server.asked, quiet.asked);
	quiet.passed++;
}

static void expect_quiet_for(unsigned ms)
{
	event_add(quiet.timer, &(struct timeval){ ms / 1000, ms % 1000 * 1000 });
}

/* The next question is asked for in the same turn, just before. */
static void on_report_quiet(void *ctx, const struct resolve_name *name, const struct resolve_answer *answered)
{
	on_report(ctx, name, answered);
	ck_assert_uint_eq(quiet.passed, reported - 1);
	quiet.asked = server.asked;
	if (reported <= quiet.count)
		expect_quiet_for(quiet.after_ms[reported - 1]);
}

static void quiet_begin(const unsigned *after_ms, size_t count)
{
	resolve_free(resolve);
	ck_assert_int_eq(resolve_new_from(&resolve, base, file, on_report_quiet, &reports), 0);
	quiet.after_ms = after_ms;
	quiet.count = count;
}

static void quiet_set_up(void)
{
	set_up();
	memset(&quiet, 0, sizeof quiet);
	quiet.timer = evtimer_new(base, on_quiet, NULL);
}

static void quiet_tear_down(void)
{
	event_free(quiet.timer);
	tear_down();
}

START_TEST(asked_again_when_its_time_has_passed)
{
	static const unsigned after_ms[] = { RESOLVE_TTL_MIN_S * 1000 - 1 };

	quiet_begin(after_ms, 1);
	server.ttl_s = 1;
	know("pod");
	ck_assert(next_report()->good);
	server.address[3] = 4;
	ck_assert_uint_eq(next_report()->ip[15], 4);
	ck_assert_uint_eq(quiet.passed, 1);
	ck_assert_uint_eq(server.asked, 2);
}
END_TEST

START_TEST(backs_off)
{
	static const unsigned after_ms[] = { 249, 499, 999 };

	quiet_begin(after_ms, 3);
	server.flags = NXDOMAIN;
	know("pod.");
	for (int i = 0; i < 4; i++)
		ck_assert(!next_report()->good);
	ck_assert_uint_eq(quiet.passed, 3);
	ck_assert_uint_eq(server.asked, 4);
}
END_TEST

/* At once, and then not again for RESOLVE_AGAIN_MS. That counts from a question, which is later than what is set before
 * it is asked for; the loop's clock may be some milliseconds behind. */
START_TEST(asked_at_once_when_a_probe_failed)
{
	enum { BEHIND_MS = 20 };
	const struct resolve_name pod = { "pod", false };

	server.ttl_s = 300;
	know("pod");
	ck_assert(next_report()->good);
	server.address[3] = 9;
	for (size_t i = 0; i < 3; i++) {
		run_ms(RESOLVE_AGAIN_MS);
		quiet.asked = server.asked + 1;
		expect_quiet_for(RESOLVE_AGAIN_MS - BEHIND_MS);
		for (int j = 0; j < 5; j++)
			resolve_now(resolve, &pod);
		ck_assert_uint_eq(next_report()->ip[15], 9);
		ck_assert_uint_eq(quiet.passed, i);
		for (int j = 0; j < 5; j++)
			resolve_now(resolve, &pod);
		ck_assert(next_report()->good);
		ck_assert_uint_eq(quiet.passed, i + 1);
	}
	ck_assert_uint_eq(server.asked, 7);
	server.silent = true;
	resolve_now(resolve, &pod);
	run_until(&server.asked, 8);
	resolve_now(resolve, &pod);
	ck_assert_str_eq(next_report()->reason, "no answer from the DNS");
	ck_assert_uint_eq(server.asked, 9);
	resolve_now(resolve, &(struct resolve_name){ "pod", true });
	resolve_now(resolve, &(struct resolve_name){ "nobody", false });
	resolve_now(NULL, &pod);
}
END_TEST

START_TEST(forgotten_during_a_question)
{
	server.silent = true;
	know("pod");
	run_until(&server.asked, 1);
	ck_assert_int_eq(resolve_set_names(resolve, NULL, 0), 0);
	answer(&server, 0, server.address);
	run_ms(100);
	server.silent = false;
	know("next");
	ck_assert_str_eq(next_report()->host, "next");
	ck_assert_uint_eq(reported, 1);
}
END_TEST

/* The answer is there, and not read yet. */
START_TEST(freed_during_a_question)
{
	server.silent = true;
	know("pod");
	run_until(&server.asked, 1);
	answer(&server, 0, server.address);
	resolve_free(resolve);
	ck_assert_uint_eq(reported, 0);
	resolve_start();
}
END_TEST

static void on_report_forget(void *ctx, const struct resolve_name *name, const struct resolve_answer *answered)
{
	ck_assert_int_eq(resolve_set_names(resolve, NULL, 0), 0);
	on_report(ctx, name, answered);
}

/* So are the others, whose answers may have been read already. */
START_TEST(forgotten_by_its_report)
{
	static const struct resolve_name three[] = { { "a", false }, { "b", false }, { "c", false } };

	resolve_free(resolve);
	ck_assert_int_eq(resolve_new_from(&resolve, base, file, on_report_forget, &reports), 0);
	ck_assert_int_eq(resolve_set_names(resolve, three, 3), 0);
	next_report();
	run_ms(100);
	ck_assert_uint_eq(reported, 1);
	know("next");
	ck_assert_str_eq(next_report()->host, "next");
}
END_TEST

START_TEST(known_names_go_on)
{
	static const struct resolve_name three[] = { { "c", false }, { "a", false }, { "b", false } };

	ck_assert_int_eq(resolve_set_names(resolve, three, 2), 0);
	run_until(&reported, 2);
	ck_assert_int_eq(resolve_set_names(resolve, three, 3), 0);
	ck_assert_str_eq(next_report()->host, "b");
	ck_assert_int_eq(resolve_set_names(resolve, three + 1, 2), 0);
	run_ms(100);
	ck_assert_uint_eq(server.asked, 3);
	resolve_now(resolve, &three[0]);
	resolve_now(resolve, &three[1]);
	ck_assert_str_eq(next_report()->host, "a");
}
END_TEST

/* Known at the next set of names: what is under way is asked again, and answered once. */
START_TEST(resolv_conf_replaced)
{
	server.silent = true;
	know("pod");
	run_until(&server.asked, 1);
	other.address[3] = 77;
	write_conf(&other, "");
	know("pod");
	ck_assert_uint_eq(next_report()->ip[15], 77);
	ck_assert_uint_eq(other.asked, 1);
	ck_assert_uint_eq(server.asked, 1);
	run_ms(100);
	ck_assert_uint_eq(reported, 1);
}
END_TEST

/* Nobody says so, but a question without answer makes it look. */
START_TEST(resolv_conf_replaced_in_silence)
{
	know("pod");
	ck_assert(next_report()->good);
	server.silent = true;
	write_conf(&other, "");
	resolve_now(resolve, &(struct resolve_name){ "pod", false });
	ck_assert_str_eq(next_report()->reason, "no answer from the DNS");
	ck_assert(next_report()->good);
	ck_assert_uint_eq(other.asked, 1);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, LIMIT_S);
	tcase_add_checked_fixture(tests, quiet_set_up, quiet_tear_down);
	tcase_add_test(tests, asked_again_when_its_time_has_passed);
	tcase_add_test(tests, backs_off);
	tcase_add_test(tests, asked_at_once_when_a_probe_failed);
	tcase_add_test(tests, forgotten_during_a_question);
	tcase_add_test(tests, freed_during_a_question);
	tcase_add_test(tests, forgotten_by_its_report);
	tcase_add_test(tests, known_names_go_on);
	tcase_add_test(tests, resolv_conf_replaced);
	tcase_add_test(tests, resolv_conf_replaced_in_silence);
}
