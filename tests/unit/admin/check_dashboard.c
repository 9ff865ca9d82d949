/* What the dashboard gets: all that it shows of a view, and one answer a second for all who ask. */
#include <stdio.h>
#include <string.h>

#include "admin/dashboard.h"
#include "base/log.h"
#include "tests/fixtures/command_bed.h"
#include "tests/unit/suite.h"

static struct stats sum;

static const struct view_listener listeners[] = { { .uid = 3, .pool = 1, .name = "a", .pool_name = "p" },
						  { .uid = 4, .pool = 2, .name = "b", .pool_name = "q" },
						  { .uid = 5, .pool = 1, .name = "c", .pool_name = "p" } };
static const struct view_pool pools[] = { { .uid = 1,
					    .name = "p",
					    .backend_count = 2,
					    .accepting = 1,
					    .flows = { .flows = { 7, 8, 50 } },
					    .counts_sessions = true,
					    .has_cids = true,
					    .dtls = true,
					    .limits_hellos = true },
					  { .uid = 2, .name = "q", .backend_count = 1, .tunnel = true } };
static const struct view_backend backends[] = {
	{ .uid = 5,
	  .name = "a",
	  .pool_name = "p",
	  .state = { .probes = BACKEND_DOWN, .wish = BACKEND_DRAIN, .probed = true },
	  .weight = 90,
	  .reason = "timeout",
	  .health_s = 61,
	  .has_findings = true,
	  .findings = { .rebinding = FINDING_BAD, .rebinding_reason = "needed a handshake", .cid = FINDING_GOOD },
	  .name_reason = "",
	  .unanswered = 14,
	  .flows = 17,
	  .silent = 3,
	  .watched_s = 100,
	  .silent_s = 40,
	  .window_s = 300,
	  .cid_at_s = 1700000001 },
	{ .uid = 6,
	  .name = "b",
	  .pool_name = "p",
	  .state = { .probed = true },
	  .weight = 100,
	  .reason = "HelloVerifyRequest",
	  .name_reason = "" },
	{ .uid = 7, .name = "a", .pool_name = "q", .weight = 256, .reason = "", .name_reason = "" },
};

/* What the fast path counted for the listener 3. */
static struct view_fast fast = {
	.rests = "a trace runs",
	.interfaces = { { .name = "ens3", .attached = true, .mode = "native" },
			{ .name = "ens4", .mode = "none", .reason = "it is taken" } },
	.interface_count = 2,
	.verdicts = { [3] = { [VERDICT_CID] = 80, [VERDICT_TYPE] = 1 } },
	.replies = 40,
};

static json_t *make(void)
{
	const struct view view = {
		.sum = &sum,
		.listeners = listeners,
		.listener_count = 3,
		.pools = pools,
		.pool_count = 2,
		.backends = backends,
		.backend_count = 3,
		.workers = 2,
		.started_at = 1700000000,
		.reload_refused = true,
		.unready = "no backend is up",
		.fingerprint = "0123456789abcdef",
		.fast = fast,
	};
	json_t *events = json_pack("[{s:s}]", "event", "started");
	json_t *forecasts = json_pack("{s:{s:i}}", "p/a", "half_s", 90);
	struct history history = { 0 };
	const struct dashboard_rest rest = { .node = "lb1",
					     .history = &history,
					     .at_ms = 1700000123456,
					     .events = events,
					     .forecasts = forecasts,
					     .forecasts_at_s = 1700000100 };
	json_t *json;

	history_add(&history, 1700000120000, &sum);
	json = dashboard_json(&view, &rest);
	json_decref(events);
	json_decref(forecasts);
	ck_assert_ptr_nonnull(json);
	return json;
}

static void assert_json(const json_t *json, const char *expected)
{
	json_error_t error;
	json_t *wanted = json_loads(expected, 0, &error);
	char *text = json_dumps(json, JSON_SORT_KEYS);

	ck_assert_msg(wanted != NULL, "%s", error.text);
	ck_assert_msg(json_equal(json, wanted), "%s is not %s", text, expected);
	json_decref(wanted);
	free(text);
}

START_TEST(test_everything_is_there)
{
	sum.verdicts[3][VERDICT_CID] = 90;
	sum.verdicts[5][VERDICT_CID] = 9;
	sum.verdicts[3][VERDICT_LIMITED] = 10;
	sum.verdicts[4][VERDICT_HASH] = 4;
	sum.kernel_drops[4] = 2;
	sum.endpoint_drops = 3;
	sum.rescued[1] = 34;
	sum.moves[1] = 33;
	sum.handshakes_begun[1] = 31;
	sum.refused_up[1][REFUSED_FLOWS] = 4;
	sum.refused_up[1][REFUSED_SEND] = 1;
	sum.refused_down[1][REFUSED_BUDGET] = 6;
	sum.sent_up[5].datagrams = 60;
	sum.sent_down[6].datagrams = 61;
	json_t *json = make();
	assert_json(json,
		    "{\"at_ms\": 1700000123456, \"node\": \"lb1\", \"version\": \"" CIDLB_VERSION "\","
		    " \"started_s\": 1700000000, \"workers\": 2, \"fingerprint\": \"0123456789abcdef\","
		    " \"ready\": false, \"unready\": \"no backend is up\", \"reload_refused\": true,"
		    " \"kernel_drops\": 5, \"forecasts_s\": 1700000100, \"events\": [{\"event\": \"started\"}],"
		    " \"history\": [[1700000120000, 99, 4, 10, 0, 31]],"
		    " \"pools\": [{\"name\": \"p\", \"accepting\": 1, \"sessions\": 58, \"rescued\": 34, \"moves\": 33,"
		    "  \"handshakes\": 31, \"hello_rate\": true, \"refused_up\": 5, \"refused_down\": 6,"
		    "  \"verdicts\": {\"cid\": 99, \"limited\": 10},"
		    "  \"backends\": [{\"name\": \"a\", \"weight\": 90, \"state\": \"drain\", \"down\": true,"
		    "   \"down_s\": 61, \"reason\": \"timeout\", \"rebinding\": false,"
		    "   \"rebinding_reason\": \"needed a handshake\", \"cid\": true, \"flows\": 17, \"sent_up\": 60,"
		    "   \"cid_at_s\": 1700000001, \"unanswered\": 14, \"silent\": 3,"
		    "   \"drain\": {\"watched_s\": 100, \"not_before_s\": 1700000383, \"forecast\": {\"half_s\": 90}}},"
		    "   {\"name\": \"b\", \"weight\": 100, \"sent_down\": 61}]},"
		    "  {\"name\": \"q\", \"accepting\": 0, \"verdicts\": {\"hash\": 4},"
		    "   \"backends\": [{\"name\": \"a\", \"weight\": 256, \"unprobed\": true}]}]}");
	json_decref(json);
}
END_TEST

/* Nothing of it is said where none is configured: see above. */
START_TEST(test_fast_path)
{
	fast.configured = true;
	sum.received[3] = 100;
	sum.received[4] = 4;
	sum.replies[1] = 50;
	json_t *json = make();
	assert_json(json_object_get(json, "fast"),
		    "{\"interfaces\": [{\"name\": \"ens3\", \"mode\": \"native\", \"reason\": \"\"},"
		    "  {\"name\": \"ens4\", \"mode\": \"none\", \"reason\": \"it is taken\"}],"
		    " \"rests\": \"a trace runs\", \"datagrams\": 81, \"of_datagrams\": 104,"
		    " \"replies\": 40, \"of_replies\": 50}");
	json_decref(json);
	fast.configured = false;
}
END_TEST

/* Its text, to be freed by its caller. */
static char *read_out(struct evbuffer *out)
{
	const size_t len = evbuffer_get_length(out);
	char *text = calloc(1, len + 1);

	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(evbuffer_remove(out, text, len), (int)len);
	return text;
}

static json_t *ask_dashboard(struct dashboard *dashboard)
{
	struct evbuffer *out = evbuffer_new();
	char *text;
	json_t *json;

	dashboard_write(dashboard, out);
	text = read_out(out);
	evbuffer_free(out);
	json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	ck_assert_msg(json != NULL, "%s", text);
	free(text);
	return json;
}

static json_int_t generation_of(const json_t *json)
{
	return json_integer_value(json_object_get(json, "at_ms"));
}

/* The clock of the answers, moved on by the tests. */
uint64_t __wrap_clock_ms(void);
static uint64_t now_ms = 1000000;

uint64_t __wrap_clock_ms(void)
{
	return now_ms;
}

START_TEST(test_one_answer_a_second)
{
	struct dashboard *dashboard = dashboard_new(control, base);
	json_t *first = ask_dashboard(dashboard), *again;

	ck_assert_str_eq(json_string_value(json_object_get(first, "version")), CIDLB_VERSION);
	ck_assert_uint_eq(json_array_size(json_object_get(first, "pools")), 2);
	usleep(2000); /* so that a new one would have another time */
	now_ms += DASHBOARD_MS - 1;
	again = ask_dashboard(dashboard);
	ck_assert(json_equal(first, again));
	json_decref(again);
	now_ms += 1;
	again = ask_dashboard(dashboard);
	ck_assert_int_gt(generation_of(again), generation_of(first));
	json_decref(again);
	json_decref(first);
	dashboard_free(dashboard);
}
END_TEST

START_TEST(test_answers_outlive_it)
{
	struct dashboard *dashboard = dashboard_new(control, base);
	struct evbuffer *slow[3] = { evbuffer_new(), evbuffer_new(), evbuffer_new() };
	char *texts[3];

	for (size_t i = 0; i < 3; i++) {
		now_ms += i == 2 ? DASHBOARD_MS : 0; /* the last one gets a later answer */
		dashboard_write(dashboard, slow[i]);
	}
	dashboard_free(dashboard);
	for (size_t i = 0; i < 3; i++) {
		texts[i] = read_out(slow[i]);
		evbuffer_free(slow[i]);
		ck_assert_int_eq(texts[i][0], '{');
	}
	ck_assert_str_eq(texts[0], texts[1]);
	for (size_t i = 0; i < 3; i++)
		free(texts[i]);
}
END_TEST

START_TEST(test_the_last_events)
{
	struct dashboard *dashboard = dashboard_new(control, base);
	json_t *json, *events;

	for (int i = 0; i < DASHBOARD_EVENTS + 5; i++)
		log_event(LOG_LEVEL_INFO, "check", NULL, NULL, "<b>number %d</b>", i);
	json = ask_dashboard(dashboard);
	events = json_object_get(json, "events");
	ck_assert_uint_eq(json_array_size(events), DASHBOARD_EVENTS);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(events, DASHBOARD_EVENTS - 1), "reason")),
			 "<b>number 44</b>");
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(events, 0), "reason")), "<b>number 5</b>");
	json_decref(json);
	now_ms += DASHBOARD_MS;
	log_event(LOG_LEVEL_INFO, "check", NULL, NULL, "one more");
	json = ask_dashboard(dashboard);
	events = json_object_get(json, "events");
	ck_assert_uint_eq(json_array_size(events), DASHBOARD_EVENTS);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(events, DASHBOARD_EVENTS - 1), "reason")),
			 "one more");
	json_decref(json);
	dashboard_free(dashboard);
}
END_TEST

/* A server that drains has what may be said of that, and its pool's others have nothing of it. */
START_TEST(test_drain)
{
	struct dashboard *dashboard = dashboard_new(control, base);
	json_t *json, *rows;

	ask_ok("{\"command\": \"drain\", \"name\": \"p/a\"}");
	json = ask_dashboard(dashboard);
	rows = json_object_get(json_array_get(json_object_get(json, "pools"), 0), "backends");
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(rows, 0), "state")), "drain");
	ck_assert_int_gt(
		json_integer_value(json_object_get(json_object_get(json_array_get(rows, 0), "drain"), "not_before_s")),
		0);
	ck_assert_ptr_null(json_object_get(json_array_get(rows, 1), "state"));
	ck_assert_ptr_null(json_object_get(json_array_get(rows, 1), "drain"));
	json_decref(json);
	dashboard_free(dashboard);
}
END_TEST

START_TEST(test_history)
{
	struct history history = { 0 };
	struct stats counts = { 0 };
	json_t *json = history_json(&history);

	assert_json(json, "[]");
	json_decref(json);
	for (enum verdict verdict = 0; verdict < VERDICTS; verdict++)
		counts.verdicts[verdict % STATS_LISTENERS][verdict] = (uint64_t)1 << verdict;
	counts.handshakes_begun[STATS_POOLS - 1] = 7;
	history_add(&history, 1, &counts);
	json = history_json(&history);
	/* Three by CID, three without, those that are limited, and the rest. */
	assert_json(json, "[[1, 7, 56, 16384, 16320, 7]]");
	json_decref(json);
	for (int64_t at = 2; at < 2 * HISTORY_MOMENTS; at++)
		history_add(&history, at, &counts);
	json = history_json(&history);
	ck_assert_uint_eq(json_array_size(json), HISTORY_MOMENTS);
	for (size_t i = 0; i < HISTORY_MOMENTS; i++)
		ck_assert_int_eq(json_integer_value(json_array_get(json_array_get(json, i), 0)),
				 (json_int_t)(HISTORY_MOMENTS + i));
	json_decref(json);
}
END_TEST

/* It notes them by itself. */
START_TEST(test_history_goes_on)
{
	const struct timeval limit = { .tv_sec = HISTORY_S, .tv_usec = 500000 };
	struct dashboard *dashboard = dashboard_new(control, base);
	json_t *json;

	event_base_loopexit(base, &limit);
	event_base_dispatch(base);
	json = ask_dashboard(dashboard);
	ck_assert_uint_eq(json_array_size(json_object_get(json, "history")), 1);
	json_decref(json);
	dashboard_free(dashboard);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_everything_is_there);
	tcase_add_test(tests, test_fast_path);
	tcase_add_test(tests, test_one_answer_a_second);
	tcase_add_test(tests, test_answers_outlive_it);
	tcase_add_test(tests, test_the_last_events);
	tcase_add_test(tests, test_drain);
	tcase_add_test(tests, test_history);
	tcase_add_test(tests, test_history_goes_on);
}
