#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/metrics.h"
#include "admin/metrics_parts.h"
#include "tests/unit/suite.h"

static struct stats sum;
static char *text;

static const struct probe_times times = { .counts = { 1, 2, 0, 3, [PROBE_TIMES] = 4 }, .sum_us = 12345678 };
static const uint64_t busy_us[] = { 1500000, 2000001 };

static const struct view_listener listeners[] = { { .uid = 3, .pool = 1, .name = "coaps", .pool_name = "lwm2m" } };
static const struct view_pool pools[] = { { .uid = 1,
					    .name = "lwm2m",
					    .tunnel = true,
					    .stateless = true,
					    .counts_sessions = true,
					    .flows = { .flows = { 7, 8, 50 }, .evicted = { 21, 22, 23 } },
					    .accepting = 4,
					    .has_cids = true,
					    .dtls = true,
					    .max_flows = 1000,
					    .id_moves = 3,
					    .ids_contested = 1,
					    .probes = { 2, 40 },
					    .probe_times = &times,
					    .probe_sessions_lost = 6,
					    .icmp_errors = 13,
					    .wrong_interface = 21,
					    .foreign_cids = 26,
					    .silent = 27 } };
static const struct view_backend backends[] = {
	{ .uid = 5,
	  .name = "a",
	  .pool_name = "lwm2m",
	  .state = { .probes = BACKEND_UP, .wish = BACKEND_DRAIN },
	  .weight = 90,
	  .findings = { .rebinding = FINDING_GOOD, .cid = FINDING_BAD },
	  .unanswered = 14,
	  .flows = 17,
	  .may_stop = true },
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
		.workers = 2,
		.busy_us = busy_us,
		.started_at = 1700000000,
		.applied_at = 1700000100,
		.reload_refused = true,
		.ready = true,
		.rcvbuf_asked = 4194305,
		.rcvbuf = { 4194304, 212992, UINT32_MAX },
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
	sum.sent_up[5].datagrams = 60;
	sum.sent_down[5].datagrams = 61;
	sum.refused_up[1][REFUSED_FLOWS] = 4;
	sum.refused_down[1][REFUSED_BUDGET] = 5;
	sum.replies[1] = 66;
	sum.copies[1] = 8;
	sum.withheld[1] = 9;
	sum.own_endpoint[1] = 12;
	sum.reflected[1] = 24;
	sum.refused_down[1][REFUSED_PLAINTEXT] = 25;
	sum.strays = 11;
	sum.tunnel_dropped[1][PROXY2_NO_HEADER] = 15;
	sum.tunnel_dropped[1][TUNNEL_SERVICE] = 16;
	sum.tunnel_segmented[1] = 17;
	sum.tunnel_fragmented[1] = 18;
	sum.stateless_dropped[1][STATELESS_CHECK] = 19;
	sum.stateless_dropped[1][STATELESS_SOURCE] = 20;
	sum.sent_up[5].octets = 6000;
	sum.sent_down[5].octets = 6100;
	sum.handshakes_begun[1] = 31;
	sum.handshakes_over[1] = 32;
	sum.moves[1] = 33;
	sum.rescued[1] = 34;
	sum.batches[0] = 35;
	sum.batches[5] = 36;
	sum.batched = 1187;
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
	assert_line("cidlb_forwarded_octets_total{pool=\"lwm2m\",backend=\"a\",direction=\"up\"} 6000");
	assert_line("cidlb_forwarded_octets_total{pool=\"lwm2m\",backend=\"a\",direction=\"down\"} 6100");
	assert_line("cidlb_refused_total{pool=\"lwm2m\",direction=\"up\",reason=\"flows\"} 4");
	assert_line("cidlb_refused_total{pool=\"lwm2m\",direction=\"down\",reason=\"budget\"} 5");
	assert_line("cidlb_refused_total{pool=\"lwm2m\",direction=\"up\",reason=\"send\"} 0");
	assert_line("cidlb_replies_total{pool=\"lwm2m\"} 66");
	assert_line("cidlb_copies_total{pool=\"lwm2m\"} 8");
	assert_line("cidlb_withheld_total{pool=\"lwm2m\"} 9");
	assert_line("cidlb_own_endpoint_total{pool=\"lwm2m\"} 12");
	assert_line("cidlb_reflected_total{pool=\"lwm2m\"} 24");
	assert_line("cidlb_refused_total{pool=\"lwm2m\",direction=\"down\",reason=\"plaintext\"} 25");
	assert_line("cidlb_strays_total 11");
	assert_line("cidlb_stateless_dropped_total{pool=\"lwm2m\",reason=\"check\"} 19");
	assert_line("cidlb_stateless_dropped_total{pool=\"lwm2m\",reason=\"source\"} 20");
	assert_line("cidlb_icmp_errors_total{pool=\"lwm2m\"} 13");
	assert_line("cidlb_wrong_interface_total{pool=\"lwm2m\"} 21");
	assert_line("cidlb_foreign_cids_total{pool=\"lwm2m\"} 26");
	assert_line("cidlb_silent_sessions_total{pool=\"lwm2m\"} 27");
	assert_line("cidlb_endpoint_kernel_drops_total 14");
	assert_line("cidlb_probes_total{pool=\"lwm2m\",result=\"ok\"} 40");
	assert_line("cidlb_probes_total{pool=\"lwm2m\",result=\"failed\"} 2");
	assert_line("cidlb_backend_rebinding{pool=\"lwm2m\",backend=\"a\"} 1");
	assert_line("cidlb_backend_cid_ok{pool=\"lwm2m\",backend=\"a\"} 0");
	assert_line("cidlb_probe_sessions_lost_total{pool=\"lwm2m\"} 6");
	assert_line("cidlb_backend_unanswered_sessions{pool=\"lwm2m\",backend=\"a\"} 14");
	assert_line("cidlb_backend_flows{pool=\"lwm2m\",backend=\"a\"} 17");
	assert_line("cidlb_backend_may_stop{pool=\"lwm2m\",backend=\"a\"} 1");
	ck_assert_ptr_null(strstr(text, "cidlb_backend_may_stop{pool=\"lwm2m\",backend=\"b"));
	assert_line("cidlb_pool_accepting_backends{pool=\"lwm2m\"} 4");
	assert_line("cidlb_id_moves_total{pool=\"lwm2m\"} 3");
	assert_line("cidlb_ids_contested{pool=\"lwm2m\"} 1");
	assert_line("cidlb_flows{pool=\"lwm2m\",kind=\"handshake\"} 7");
	assert_line("cidlb_flows{pool=\"lwm2m\",kind=\"address\"} 8");
	assert_line("cidlb_flows{pool=\"lwm2m\",kind=\"cid\"} 50");
	assert_line("cidlb_sessions{pool=\"lwm2m\"} 58");
	assert_line("cidlb_flows_limit{pool=\"lwm2m\"} 1000");
	assert_line("cidlb_handshakes_total{pool=\"lwm2m\",stage=\"begun\"} 31");
	assert_line("cidlb_handshakes_total{pool=\"lwm2m\",stage=\"finished\"} 32");
	assert_line("cidlb_address_changes_total{pool=\"lwm2m\"} 33");
	assert_line("cidlb_sessions_rescued_total{pool=\"lwm2m\"} 34");
	assert_line("cidlb_flows_evicted_total{pool=\"lwm2m\",kind=\"handshake\"} 21");
	assert_line("cidlb_flows_evicted_total{pool=\"lwm2m\",kind=\"address\"} 22");
	assert_line("cidlb_flows_evicted_total{pool=\"lwm2m\",kind=\"cid\"} 23");
	assert_line("cidlb_config_fingerprint{fingerprint=\"0123456789abcdef\"} 1");
	assert_line("cidlb_receive_buffer_octets{kind=\"listener\"} 4194304");
	assert_line("cidlb_receive_buffer_octets{kind=\"endpoint\"} 212992");
	ck_assert_ptr_null(strstr(text, "kind=\"tunnel\""));
	assert_line("cidlb_receive_buffer_asked_octets 4194305");
	assert_line("cidlb_ready 1");
	assert_line("cidlb_left 0");
	assert_line("cidlb_snapshot_generation 12");
	free(text);
}
END_TEST

START_TEST(test_backends)
{
	count_everything();
	render();
	assert_line("cidlb_backend_up{pool=\"lwm2m\",backend=\"a\"} 1");
	assert_line("cidlb_backend_up{pool=\"lwm2m\",backend=\"b\\\"\\\\\\n\"} 0");
	assert_line("cidlb_backend_weight{pool=\"lwm2m\",backend=\"a\"} 90");
	assert_line("cidlb_backend_state{pool=\"lwm2m\",backend=\"a\",state=\"drain\"} 1");
	assert_line("cidlb_backend_state{pool=\"lwm2m\",backend=\"b\\\"\\\\\\n\",state=\"ready\"} 1");
	ck_assert_ptr_null(strstr(text, "state=\"up\""));
	free(text);
}
END_TEST

START_TEST(test_histograms)
{
	count_everything();
	render();
	assert_line("cidlb_batch_datagrams_bucket{le=\"1\"} 35");
	assert_line("cidlb_batch_datagrams_bucket{le=\"16\"} 35");
	assert_line("cidlb_batch_datagrams_bucket{le=\"32\"} 71");
	assert_line("cidlb_batch_datagrams_bucket{le=\"+Inf\"} 71");
	assert_line("cidlb_batch_datagrams_sum 1187");
	assert_line("cidlb_batch_datagrams_count 71");
	assert_line("cidlb_probe_duration_seconds_bucket{pool=\"lwm2m\",le=\"0.001\"} 1");
	assert_line("cidlb_probe_duration_seconds_bucket{pool=\"lwm2m\",le=\"0.0025\"} 3");
	assert_line("cidlb_probe_duration_seconds_bucket{pool=\"lwm2m\",le=\"2.5\"} 6");
	assert_line("cidlb_probe_duration_seconds_bucket{pool=\"lwm2m\",le=\"+Inf\"} 10");
	assert_line("cidlb_probe_duration_seconds_sum{pool=\"lwm2m\"} 12.345678");
	assert_line("cidlb_probe_duration_seconds_count{pool=\"lwm2m\"} 10");
	free(text);
}
END_TEST

static unsigned long long value_of(const char *name)
{
	char start[128];
	const char *line;

	snprintf(start, sizeof start, "\n%s ", name);
	line = strstr(text, start);
	ck_assert_msg(line != NULL, "no %s", name);
	return strtoull(line + strlen(start), NULL, 10);
}

START_TEST(test_process)
{
	render();
	assert_line("cidlb_build_info{version=\"" CIDLB_VERSION "\"} 1");
	assert_line("cidlb_config_last_reload_successful 0");
	assert_line("cidlb_config_last_reload_success_timestamp_seconds 1700000100");
	assert_line("process_start_time_seconds 1700000000");
	assert_line("cidlb_worker_busy_seconds_total{worker=\"0\"} 1.500000");
	assert_line("cidlb_worker_busy_seconds_total{worker=\"1\"} 2.000001");
	ck_assert_uint_ge(value_of("process_open_fds"), 3);
	ck_assert_uint_le(value_of("process_open_fds"), value_of("process_max_fds"));
	ck_assert_uint_gt(value_of("process_resident_memory_bytes"), 100000);
	ck_assert_uint_ge(value_of("process_virtual_memory_bytes"), value_of("process_resident_memory_bytes"));
	ck_assert_ptr_nonnull(strstr(text, "\nprocess_cpu_seconds_total "));
	free(text);
}
END_TEST

/* Nothing is written of what a pool does not have. */
START_TEST(test_pool_without_flows)
{
	static const struct view_pool udp[] = { { .uid = 1, .name = "u", .probe_times = &times } };
	static const char *const absent[] = { "flows_limit{",
					      "sessions{",
					      "handshakes_total{",
					      "address_changes_total{",
					      "sessions_rescued_total{",
					      "tunnel_dropped_total{" };
	struct evbuffer *out = evbuffer_new();
	const struct view view = { .sum = &sum, .pools = udp, .pool_count = 1, .fingerprint = "" };

	metrics_write(out, &view, 0);
	evbuffer_add(out, "", 1);
	text = (char *)evbuffer_pullup(out, -1);
	for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
		ck_assert_msg(strstr(text, absent[i]) == NULL, "%s is there", absent[i]);
	ck_assert_ptr_nonnull(strstr(text, "cidlb_flows{pool=\"u\",kind=\"cid\"} 0\n"));
	evbuffer_free(out);
}
END_TEST

enum { MANY = 50 };

static size_t lines_with(const char *word)
{
	size_t count = 0;

	for (const char *at = text; (at = strstr(at, word)); at++)
		count++;
	return count;
}

/* Every backend has as much as it ever can. */
START_TEST(test_series_per_backend)
{
	static struct view_backend many[MANY];
	static char names[MANY][8];
	struct evbuffer *out = evbuffer_new();
	struct view view = { .sum = &sum, .pools = pools, .pool_count = 1, .fingerprint = "" };
	char label[32];
	size_t lines;

	for (size_t i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof names[i], "s%zu", i);
		many[i] = backends[0];
		many[i].uid = (uint16_t)i;
		many[i].name = names[i];
	}
	metrics_write(out, &view, 0);
	evbuffer_add(out, "", 1);
	text = (char *)evbuffer_pullup(out, -1);
	lines = lines_with("\n");
	evbuffer_drain(out, evbuffer_get_length(out));
	view.backends = many;
	view.backend_count = MANY;
	metrics_write(out, &view, 0);
	evbuffer_add(out, "", 1);
	text = (char *)evbuffer_pullup(out, -1);
	for (size_t i = 0; i < MANY; i++) {
		snprintf(label, sizeof label, "backend=\"s%zu\"", i);
		ck_assert_uint_eq(lines_with(label), METRICS_PER_BACKEND);
	}
	ck_assert_uint_eq(lines_with("\n") - lines, MANY * METRICS_PER_BACKEND);
	evbuffer_free(out);
}
END_TEST

static bool is_of(const char *name, const char *family)
{
	const size_t len = strlen(family);
	const char *rest = name + len;

	return strncmp(name, family, len) == 0 && (*rest == '\0' || strcmp(rest, "_bucket") == 0 ||
						   strcmp(rest, "_sum") == 0 || strcmp(rest, "_count") == 0);
}

/* Each family is announced once, before its samples, and its samples stand together (text format 0.0.4). */
START_TEST(test_families)
{
	char family[128] = "", name[128], seen[8192] = "";
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
		if (sscanf(line, "# TYPE %127s", name) == 1)
			ck_assert_str_eq(name, family);
		sscanf(line, line[0] == '#' ? "# TYPE %127s" : "%127[a-z_]", name);
		ck_assert_msg(is_of(name, family), "%s among %s", name, family);
	}
	ck_assert_uint_ge(families, 55);
	free(text);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, test_every_sample);
	tcase_add_test(tests, test_backends);
	tcase_add_test(tests, test_histograms);
	tcase_add_test(tests, test_process);
	tcase_add_test(tests, test_pool_without_flows);
	tcase_add_test(tests, test_series_per_backend);
	tcase_add_test(tests, test_families);
}
