/* One backend under probe in a real event loop; what was reported, copied. */
#ifndef CIDLB_TESTS_PROBE_FIXTURE_H
#define CIDLB_TESTS_PROBE_FIXTURE_H

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "health.h"

enum { MAX_SEEN = 64, LIMIT_S = 20 };

struct seen {
	bool ok, unasked, has_findings, may_steer, has_words;
	char reason[HEALTH_REASON_OCTETS];
	uint32_t took_us;
	struct health_findings findings;
	char words[1100]; /* "": none */
};

static struct event_base *base;
static struct health *health;
static struct health_target target;
static struct seen seen[MAX_SEEN];
static size_t seen_count, stop_at;
static bool remove_first; /* the report takes the backend away before it reads what is reported */

static void on_report(void *ctx, uint16_t uid, const struct health_result *result)
{
	struct seen *one = &seen[seen_count++];

	(void)ctx;
	if (remove_first)
		ck_assert_int_eq(health_set_targets(health, NULL, 0), 0);
	ck_assert_uint_lt(seen_count, MAX_SEEN);
	ck_assert_uint_eq(uid, target.uid);
	memset(one, 0, sizeof *one);
	one->ok = result->ok;
	one->unasked = result->unasked;
	one->took_us = result->took_us;
	one->has_findings = result->findings != NULL;
	one->may_steer = result->words != NULL;
	one->has_words = result->words_len > 0;
	snprintf(one->reason, sizeof one->reason, "%s", result->reason);
	if (one->has_findings)
		one->findings = *result->findings;
	if (one->has_words)
		snprintf(one->words, sizeof one->words, "%.*s", (int)result->words_len, (const char *)result->words);
	if (seen_count == stop_at)
		event_base_loopbreak(base);
}

static inline void probe_start(void)
{
	ck_assert_int_eq(health_set_targets(health, &target, 1), 0);
}

/* Goes on until `more` further reports have come in. Returns the last. */
static inline const struct seen *probe_run(size_t more)
{
	struct timeval limit = { .tv_sec = LIMIT_S };

	stop_at = seen_count + more;
	event_base_loopexit(base, &limit);
	event_base_dispatch(base);
	ck_assert_uint_ge(seen_count, stop_at);
	return &seen[seen_count - 1];
}

/* The first report from now on whose reason this is, among the next `most`. */
static inline const struct seen *probe_until(const char *reason, size_t most)
{
	for (size_t i = 0; i < most; i++) {
		const struct seen *one = probe_run(1);
		if (strcmp(one->reason, reason) == 0)
			return one;
	}
	ck_abort_msg("\"%s\" is the last of %zu, none is \"%s\"", seen[seen_count - 1].reason, seen_count, reason);
}

static inline void fixture_begin(enum conf_probe probe)
{
	signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	base = event_base_new();
	health = health_new(base, on_report, NULL);
	seen_count = 0;
	target = (struct health_target){
		.uid = 7,
		.addr = { .ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } },
		.how = { .probe = probe, .interval_ms = 50, .timeout_ms = 400, .rise = 2, .fall = 3 },
	};
}

static inline void fixture_end(void)
{
	health_free(health);
	event_base_free(base);
}

static inline int fixture_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

#endif
