#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/metrics.h"
#include "tests/unit/suite.h"

static struct stats sum;
static char *text;

static const struct view_listener listeners[] = { { .uid = 3, .pool = 1, .name = "coaps", .pool_name = "lwm2m" } };
static const struct view_pool pools[] = { { .uid = 1,
					    .name = "lwm2m",
					    .tunnel = true,
					    .stateless = true,
					    .flows_trial = 7,
					    .flows_proven = 50,
					    .id_moves = 3,
					    .ids_contested = 1 } };
static const struct view_backend backends[] = {
	{ .uid = 5,
	  .name = "a",
	  .pool_name = "lwm2m",
	  .state = { .probes = BACKEND_UP, .wish = BACKEND_DRAIN },
	  .probes = { 2, 40 },
	  .probe_us = 815,
	  .findings = { .rebinding = FINDING_GOOD, .cid = FINDING_BAD, .sessions_lost = 6 },
	  .flows = 17,
	  .cid_at_s = 1700000000 },
	{ .uid = 9,
	  .name = "b\"\\\n",
	  .pool_name = "lwm2m",
	  .state = { .probes = BACKEND_DOWN, .wish = BACKEND_READY } },
};

static void render(void)
{
	struct evbuffer *out = evbuffer_new();
	struct view view = {
		.sum = &sum,
		.listeners = listeners,
		.listener_count = 1,
		.pools = pools,
		.pool_count = 1,
		.backends = backends,
		.backend_count = 2,
		.generation = 12,
		.fingerprint = "0123456789abcdef",
	};

	metrics_write(out, &view, 0);
	size_t len = evbuffer_get_length(out);
	text = calloc(1, len + 2);
	text[0] = '\n'; /* so that every line follows a newline */
	evbuffer_remove(out, text + 1, len);
	evbuffer_free(out);
}

static void assert_line(const char *line)
{
	char whole[256];

	snprintf(whole, sizeof whole, "\n%s\n", line);
	ck_assert_msg(strstr(text, whole) != NULL, "no line %s in %s", line, text);
}

/* Another number for each counter. */
static void count_everything(void)
{
	sum.received[3] = 100;
	sum.verdicts[3][VERDICT_CID] = 90;
	sum.verdicts[3][VERDICT_LIMITED] = 10;
	sum.kernel_drops[3] = 2;
	sum.sent_up[5] = 60;
	sum.sent_down[5] = 61;
	sum.refused_up[1][REFUSED_FLOWS] = 4;
	sum.refused_down[1][REFUSED_BUDGET] = 5;
	sum.replies[1] = 66;
	sum.copies[1] = 8;
	sum.contests[1] = 9;
	sum.strays = 11;
	sum.tunnel_dropped[1][PROXY2_NO_HEADER] = 15;
	sum.tunnel_dropped[1][TUNNEL_SERVICE] = 16;
	sum.tunnel_segmented[1] = 17;
	sum.tunnel_fragmented[1] = 18;
	sum.stateless_dropped[1][STATELESS_CHECK] = 19;
	sum.stateless_dropped[1][STATELESS_SOURCE] = 20;
	sum.icmp_errors[5] = 13;
	sum.endpoint_drops = 14;
}

START_TEST(test_every_sample)
{
	count_everything();
	render();
	assert_line("cidlb_received_total{listener=\"coaps\",pool=\"lwm2m\"} 100");
	assert_line("cidlb_datagrams_total{listener=\"coaps\",pool=\"lwm2m\",verdict=\"cid\"} 90");
	assert_line("cidlb_datagrams_total{listener=\"coaps\",pool=\"lwm2m\",verdict=\"limited\"} 10");
	assert_line("cidlb_datagrams_total{listener=\"coaps\",pool=\"lwm2m\",verdict=\"hash\"} 0");
	assert_line("cidlb_tunnel_dropped_total{pool=\"lwm2m\",reason=\"no_header\"} 15");
	assert_line("cidlb_tunnel_dropped_total{pool=\"lwm2m\",reason=\"outer_source\"} 0");
	assert_line("cidlb_tunnel_dropped_total{pool=\"lwm2m\",reason=\"service\"} 16");
	ck_assert_ptr_null(strstr(text, "reason=\"good\""));
	assert_line("cidlb_tunnel_segmented_total{pool=\"lwm2m\"} 17");
	assert_line("cidlb_tunnel_fragmented_total{pool=\"lwm2m\"} 18");
	assert_line("cidlb_kernel_drops_total{listener=\"coaps\"} 2");
	assert_line("cidlb_forwarded_total{pool=\"lwm2m\",backend=\"a\",direction=\"up\"} 60");
	assert_line("cidlb_forwarded_total{pool=\"lwm2m\",backend=\"a\",direction=\"down\"} 61");
	assert_line("cidlb_refused_total{pool=\"lwm2m\",direction=\"up\",reason=\"flows\"} 4");
	assert_line("cidlb_refused_total{pool=\"lwm2m\",direction=\"down\",reason=\"budget\"} 5");
	assert_line("cidlb_refused_total{pool=\"lwm2m\",direction=\"up\",reason=\"send\"} 0");
	assert_line("cidlb_replies_total{pool=\"lwm2m\"} 66");
	assert_line("cidlb_copies_total{pool=\"lwm2m\"} 8");
	assert_line("cidlb_contests_total{pool=\"lwm2m\"} 9");
	assert_line("cidlb_strays_total 11");
	assert_line("cidlb_stateless_dropped_total{pool=\"lwm2m\",reason=\"check\"} 19");
	assert_line("cidlb_stateless_dropped_total{pool=\"lwm2m\",reason=\"source\"} 20");
	assert_line("cidlb_icmp_errors_total{pool=\"lwm2m\",backend=\"a\"} 13");
	assert_line("cidlb_endpoint_kernel_drops_total 14");
	assert_line("cidlb_probes_total{pool=\"lwm2m\",backend=\"a\",result=\"ok\"} 40");
	assert_line("cidlb_probes_total{pool=\"lwm2m\",backend=\"a\",result=\"failed\"} 2");
	assert_line("cidlb_probe_microseconds{pool=\"lwm2m\",backend=\"a\"} 815");
	assert_line("cidlb_backend_rebinding{pool=\"lwm2m\",backend=\"a\"} 1");
	assert_line("cidlb_backend_cid_ok{pool=\"lwm2m\",backend=\"a\"} 0");
	assert_line("cidlb_probe_sessions_lost_total{pool=\"lwm2m\",backend=\"a\"} 6");
	assert_line("cidlb_backend_flows{pool=\"lwm2m\",backend=\"a\"} 17");
	assert_line("cidlb_backend_last_cid_timestamp_seconds{pool=\"lwm2m\",backend=\"a\"} 1700000000");
	ck_assert_ptr_null(strstr(text, "cidlb_backend_last_cid_timestamp_seconds{pool=\"lwm2m\",backend=\"b"));
	assert_line("cidlb_id_moves_total{pool=\"lwm2m\"} 3");
	assert_line("cidlb_ids_contested{pool=\"lwm2m\"} 1");
	assert_line("cidlb_flows{pool=\"lwm2m\",kind=\"trial\"} 7");
	assert_line("cidlb_flows{pool=\"lwm2m\",kind=\"proven\"} 50");
	assert_line("cidlb_config_fingerprint{fingerprint=\"0123456789abcdef\"} 1");
	assert_line("cidlb_snapshot_generation 12");
	free(text);
}
END_TEST

START_TEST(test_backend_states)
{
	static const char *const states[] = { "up", "down", "ready", "drain", "maint" };
	static const int a_is[] = { 1, 0, 0, 1, 0 };
	static const int b_is[] = { 0, 1, 1, 0, 0 };
	char line[128];

	render();
	for (size_t i = 0; i < 5; i++) {
		snprintf(line, sizeof line, "cidlb_backend_state{pool=\"lwm2m\",backend=\"a\",state=\"%s\"} %d",
			 states[i], a_is[i]);
		assert_line(line);
		snprintf(line, sizeof line,
			 "cidlb_backend_state{pool=\"lwm2m\",backend=\"b\\\"\\\\\\n\",state=\"%s\"} %d", states[i],
			 b_is[i]);
		assert_line(line);
	}
	free(text);
}
END_TEST

/* Each family is announced once, before its samples, and its samples stand together (text format 0.0.4). */
START_TEST(test_families)
{
	char family[128] = "", name[128], seen[4096] = "";
	size_t families = 0;

	render();
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (sscanf(line, "# HELP %127s", family) == 1) {
			char word[132];
			snprintf(word, sizeof word, "<%s>", family);
			ck_assert_ptr_null(strstr(seen, word));
			strcat(seen, word);
			families++;
			continue;
		}
		if (sscanf(line, "# TYPE %127s", name) != 1)
			sscanf(line, "%127[a-z_]", name);
		ck_assert_str_eq(name, family);
	}
	ck_assert_uint_eq(families, 30);
	free(text);
}
END_TEST

/* Every counter has a value of its own, so that none is left out or added to another. */
START_TEST(test_sum)
{
	static struct stats one, total;
	const size_t count = (offsetof(struct stats, strays) / sizeof(stats_counter)) + 1;
	stats_counter *from = (stats_counter *)&one, *to = (stats_counter *)&total;

	for (size_t i = 0; i < count; i++) {
		from[i] = i + 1;
		to[i] = 1000000;
	}
	stats_sum(&total, &one);
	for (size_t i = 0; i < count; i++)
		ck_assert_uint_eq(to[i], 1000000 + i + 1);
	ck_assert_uint_eq(total.strays, 1000000 + count);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, test_every_sample);
	tcase_add_test(tests, test_backend_states);
	tcase_add_test(tests, test_families);
	tcase_add_test(tests, test_sum);
}
