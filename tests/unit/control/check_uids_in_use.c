/* Which numbers are taken back, what keeps one, and that nothing of it is left. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/reclaim.h"
#include "control/state.h"
#include "control/uids_in_use.h"
#include "control/watch.h"
#include "tests/unit/suite.h"

enum { WILDCARD = 7 /* a listener */ };

static const uint8_t secret[16] = { 1 };
static const struct flows_limits limits = { .max_flows = 64, .idle_ms = 1000, .cid_idle_ms = 2000 };

static struct flows *flows;
static struct service_addrs *service_addrs;
static uint16_t at_local; /* the service of WILDCARD at one address */
static struct uids_in_use used;

static void setup(void)
{
	static const uint8_t local[16] = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 };

	rcu_register_thread();
	rcu_thread_offline();
	flows = flows_new(secret);
	service_addrs = service_addrs_new();
	ck_assert_ptr_nonnull(flows);
	ck_assert_ptr_nonnull(service_addrs);
	at_local = service_addrs_number(service_addrs, WILDCARD, local);
	ck_assert_uint_ge(at_local, STATS_LISTENERS);
	used = (struct uids_in_use){ 0 };
	for (uint16_t pool = 2; pool < 4; pool++)
		ck_assert_int_eq(flows_set_limits(flows, pool, &limits), 0);
}

static void teardown(void)
{
	rcu_thread_online();
	flows_free(flows);
	rcu_thread_offline();
	service_addrs_free(service_addrs);
	rcu_unregister_thread();
}

static struct ownership_pair pair(uint8_t host, uint16_t service)
{
	return (struct ownership_pair){ { { [10] = 0xff, [11] = 0xff, 10, 0, 0, host }, 1000 }, service };
}

static struct flow *make(enum flow_kind kind, uint16_t pool, uint16_t backend, uint16_t service)
{
	static const struct endpoint_space space = {
		.prefixes = { { { .ip = { [10] = 0xff, [11] = 0xff, 127, 64 } }, 22 } },
		.prefix_count = 1,
		.port_first = 40684,
		.port_last = 40691,
	};
	static const uint8_t cid[2] = { 1, 2 };
	const struct ownership_pair source = pair(1, service);
	const struct flow_new what = {
		.key = { .kind = kind,
			 .pool = pool,
			 .service = service,
			 .source = source.device,
			 .cid_len = kind == FLOW_CID ? sizeof cid : 0,
			 .cid = cid },
		.backend = backend,
		.backend_addr = { { [10] = 0xff, [11] = 0xff, 127, 0, 0, 1 }, 6001 },
		.space = &space,
		.endpoint_hash = (uint64_t)backend,
		.source = &source.device,
		.now_ms = 1000,
	};
	rcu_thread_online();
	struct flow *flow = flows_make(flows, &what);
	rcu_thread_offline();

	ck_assert_ptr_nonnull(flow);
	return flow;
}

static size_t count(const bool *of, size_t numbers)
{
	size_t total = 0;

	for (size_t i = 0; i < numbers; i++)
		total += of[i];
	return total;
}

static void expect_counts(size_t listeners, size_t pools, size_t backends)
{
	ck_assert_uint_eq(count(used.listeners, STATS_LISTENERS), listeners);
	ck_assert_uint_eq(count(used.pools, STATS_POOLS), pools);
	ck_assert_uint_eq(count(used.backends, STATS_BACKENDS), backends);
}

START_TEST(test_table)
{
	struct snapshot_pool_spec pools[] = { { .uid = 0 }, { .uid = STATS_POOLS - 1 } };
	struct snapshot_backend backends[] = { { .uid = 5 }, { .uid = STATS_BACKENDS - 1 }, { .uid = 0 } };
	const struct table_spec spec = { .pools = pools, .pool_count = 2, .backends = backends, .backend_count = 3 };
	const uint16_t listeners[] = { STATS_LISTENERS - 1, 3 };

	uids_in_use_keep_table(&used, &spec, listeners, 2);
	ck_assert(used.pools[0] && used.pools[STATS_POOLS - 1]);
	ck_assert(used.backends[5] && used.backends[STATS_BACKENDS - 1] && used.backends[0]);
	ck_assert(used.listeners[STATS_LISTENERS - 1] && used.listeners[3]);
	expect_counts(2, 2, 3);
}
END_TEST

START_TEST(test_flows)
{
	make(FLOW_ADDRESS, 2, 9, 4);
	make(FLOW_HELLO, 3, STATS_BACKENDS - 1, at_local);
	uids_in_use_keep_flows(&used, flows, service_addrs, 1000);
	ck_assert(used.pools[2] && used.pools[3]);
	ck_assert(used.backends[9] && used.backends[STATS_BACKENDS - 1]);
	ck_assert(used.listeners[4] && used.listeners[WILDCARD]);
	expect_counts(2, 2, 2);
}
END_TEST

/* Every address that a session may be answered at keeps its listener. */
START_TEST(test_addresses_of_a_session)
{
	struct flow *flow = make(FLOW_CID, 2, 9, 4);

	uids_in_use_keep_flows(&used, flows, service_addrs, 1000);
	expect_counts(0, 1, 1);
	flow->session.has_proven = true;
	flow->session.proven = pair(1, at_local);
	flow->session.places[0] = (struct ownership_place){ .pair = pair(2, 11), .taken = true };
	flow->session.places[1] = (struct ownership_place){ .pair = pair(2, 14) };
	flow->session.places[OWNERSHIP_PLACES - 1] = (struct ownership_place){ .pair = pair(3, 12), .taken = true };
	ownership_expand(&flow->session, flows_many_places());
	flow->session.many[OWNERSHIP_PLACES_HOME - 1] = (struct ownership_place){ .pair = pair(4, 13), .taken = true };
	used = (struct uids_in_use){ 0 };
	uids_in_use_keep_flows(&used, flows, service_addrs, 1000);
	ck_assert(used.listeners[11] && used.listeners[12] && used.listeners[13] && used.listeners[WILDCARD]);
	expect_counts(4, 1, 1);
}
END_TEST

/* They are ended first, and keep no number. */
START_TEST(test_flows_that_are_over)
{
	static const struct flows_limits none = { 0 };

	make(FLOW_ADDRESS, 2, 9, 4);
	make(FLOW_ADDRESS, 3, 10, 5);
	ck_assert_int_eq(flows_set_limits(flows, 2, &none), 0);
	uids_in_use_keep_flows(&used, flows, service_addrs, 1000);
	ck_assert(used.pools[3] && used.backends[10] && used.listeners[5]);
	expect_counts(1, 1, 1);
	used = (struct uids_in_use){ 0 };
	uids_in_use_keep_flows(&used, flows, service_addrs, 1000 + limits.idle_ms);
	expect_counts(0, 0, 0);
}
END_TEST

START_TEST(test_clear_evicted)
{
	for (uint16_t backend = 0; backend < 2 * limits.max_flows; backend++)
		make(FLOW_ADDRESS, 2, backend, backend);
	rcu_thread_online();
	uint64_t evicted = flows_count(flows, 2).evicted[FLOW_CLASS_HANDSHAKE];
	rcu_thread_offline();
	ck_assert_uint_gt(evicted, 0);
	used.pools[2] = true;
	uids_in_use_clear_flows(&used, flows);
	ck_assert_uint_eq(flows_count(flows, 2).evicted[FLOW_CLASS_HANDSHAKE], evicted);
	used.pools[2] = false;
	uids_in_use_clear_flows(&used, flows);
	ck_assert_uint_eq(flows_count(flows, 2).evicted[FLOW_CLASS_HANDSHAKE], 0);
}
END_TEST

static struct worker *worker_full(void)
{
	static struct publisher publisher;
	struct worker *worker = aligned_alloc(_Alignof(struct worker), sizeof *worker);
	stats_counter *counters = (stats_counter *)&worker->path.stats;

	ck_assert_ptr_nonnull(worker);
	memset(worker, 0, sizeof *worker);
	worker->path.publisher = &publisher;
	for (size_t i = 0; i < sizeof worker->path.stats / sizeof *counters; i++)
		atomic_init(&counters[i], 1);
	for (size_t i = 0; i < STATS_BACKENDS; i++)
		atomic_init(&worker->path.cid_last_s[i], 1);
	return worker;
}

/* How many counters are not 0. */
static size_t counted(const struct worker *worker)
{
	const stats_counter *counters = (const stats_counter *)&worker->path.stats;
	size_t total = 0;

	for (size_t i = 0; i <= offsetof(struct stats, strays) / sizeof *counters; i++)
		total += counters[i] != 0;
	return total;
}

/* What belongs to no number: the sizes of batches and two more. */
enum { NOBODYS = STATS_BATCH_SIZES + 1 + 2 };

/* All others. A new counter must be cleared too. */
START_TEST(test_clear_worker)
{
	struct worker *worker = worker_full();

	uids_in_use_clear_worker(&used, worker);
	ck_assert_uint_eq(counted(worker), NOBODYS);
	ck_assert_uint_eq(worker->path.stats.endpoint_drops + worker->path.stats.strays, 2);
	for (size_t i = 0; i < STATS_BACKENDS; i++)
		ck_assert_uint_eq(worker->path.cid_last_s[i], 0);
	free(worker);
}
END_TEST

START_TEST(test_clear_spares_what_is_used)
{
	struct worker *worker = worker_full();

	used.listeners[3] = used.pools[2] = used.backends[STATS_BACKENDS - 1] = true;
	uids_in_use_clear_worker(&used, worker);
	const struct stats *stats = &worker->path.stats;
	ck_assert_uint_eq(stats->received[3] + stats->verdicts[3][0] + stats->verdicts[3][VERDICTS - 1] +
				  stats->kernel_drops[3],
			  4);
	ck_assert_uint_eq(stats->refused_up[2][0] + stats->refused_down[2][REFUSED_REASONS - 1], 2);
	ck_assert_uint_eq(stats->replies[2] + stats->copies[2] + stats->withheld[2] + stats->own_endpoint[2] +
				  stats->reflected[2] + stats->rrc[2],
			  6);
	ck_assert_uint_eq(stats->tunnel_dropped[2][TUNNEL_SERVICE] + stats->tunnel_segmented[2] +
				  stats->tunnel_fragmented[2] + stats->dsr_fragmented[2],
			  4);
	ck_assert_uint_eq(stats->handshakes_begun[2] + stats->handshakes_led[2] + stats->handshakes_over[2] +
				  stats->moves[2] + stats->rescued[2],
			  5);
	ck_assert_uint_eq(stats->sent_up[STATS_BACKENDS - 1].datagrams + stats->sent_up[STATS_BACKENDS - 1].octets, 2);
	ck_assert_uint_eq(stats->sent_down[STATS_BACKENDS - 1].datagrams + stats->sent_down[STATS_BACKENDS - 1].octets,
			  2);
	ck_assert_uint_eq(stats->begun[STATS_BACKENDS - 1] + stats->answered[STATS_BACKENDS - 1], 2);
	ck_assert_uint_eq(stats->icmp_errors[STATS_BACKENDS - 1] + stats->wrong_interface[STATS_BACKENDS - 1] +
				  stats->foreign_cids[STATS_BACKENDS - 1] + stats->sessions[STATS_BACKENDS - 1],
			  4);
	ck_assert_uint_eq(counted(worker), NOBODYS + (2 + VERDICTS) +
						   (12 + 2 * REFUSED_REASONS + STATELESS_DROPS + TUNNEL_DROPS + 2) +
						   10);
	ck_assert_uint_eq(worker->path.cid_last_s[STATS_BACKENDS - 1], 1);
	ck_assert_uint_eq(worker->path.cid_last_s[STATS_BACKENDS - 2], 0);
	free(worker);
}
END_TEST

/* What is left would say where datagrams of another pool are counted. */
START_TEST(test_clear_paths)
{
	struct worker *worker = worker_full();

	used.backends[7] = true;
	worker->path.pmtus[7].segmented = worker->path.pmtus[8].segmented = &worker->path.stats.tunnel_segmented[2];
	uids_in_use_clear_worker(&used, worker);
	ck_assert_ptr_eq(worker->path.pmtus[7].segmented, &worker->path.stats.tunnel_segmented[2]);
	ck_assert_ptr_null(worker->path.pmtus[8].segmented);
	free(worker);
}
END_TEST

START_TEST(test_clear_sample)
{
	struct worker *worker = worker_full();

	worker->path.sample.full = true;
	worker->path.sample.pool = 2;
	used.pools[2] = true;
	uids_in_use_clear_worker(&used, worker);
	ck_assert(worker->path.sample.full);
	used.pools[2] = false;
	uids_in_use_clear_worker(&used, worker);
	ck_assert(!worker->path.sample.full);
	free(worker);
}
END_TEST

START_TEST(test_clear_limit)
{
	const struct addr source = { .ip = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 } };
	const struct limit_rate slow = limit_rate_make(1);
	const struct limit_rates rates[] = { { .pool = slow }, { .backend = slow }, { .prefix = slow } };

	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
		struct limit *limit = limit_new(STATS_POOLS, STATS_BACKENDS, secret);
		const struct limit_hello hello = { STATS_POOLS - 1, STATS_BACKENDS - 1, &source };

		while (limit_admit(limit, &rates[i], &hello, 1000))
			;
		used.pools[STATS_POOLS - 1] = used.backends[STATS_BACKENDS - 1] = true;
		uids_in_use_clear_limit(&used, limit);
		ck_assert(!limit_admit(limit, &rates[i], &hello, 1000));
		used = (struct uids_in_use){ 0 };
		uids_in_use_clear_limit(&used, limit);
		ck_assert(limit_admit(limit, &rates[i], &hello, 1000));
		limit_free(limit);
	}
}
END_TEST

START_TEST(test_clear_allowances)
{
	const struct addr source = { .ip = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 } };
	const struct allowance allowance = { .pool = STATS_POOLS - 1, .octets_per_s = 1000, .from = &source };
	struct allowances *allowances = allowances_new(STATS_POOLS, secret);

	ck_assert(allowance_take(allowances, &allowance, 1000, 1000));
	used.pools[STATS_POOLS - 1] = true;
	uids_in_use_clear_allowances(&used, allowances);
	ck_assert(!allowance_take(allowances, &allowance, 1000, 1000));
	used = (struct uids_in_use){ 0 };
	uids_in_use_clear_allowances(&used, allowances);
	ck_assert(allowance_take(allowances, &allowance, 1000, 1000));
	allowances_free(allowances);
}
END_TEST

/* A control thread for one pool of number 2 and one listener of number 3. No counter of its one worker is 0. */
static struct control *control_full(struct conf *conf)
{
	struct control *control = calloc(1, sizeof *control);

	ck_assert_ptr_nonnull(control);
	control->conf = conf;
	control->flows = flows;
	control->service_addrs = service_addrs;
	control->limit = limit_new(STATS_POOLS, STATS_BACKENDS, secret);
	control->allowances = allowances_new(STATS_POOLS, secret);
	ck_assert_int_eq(numbers_new(&control->numbers), 0);
	control->sum = aligned_alloc(_Alignof(struct stats), sizeof *control->sum);
	ck_assert_ptr_nonnull(control->sum);
	control->worker_count = 1;
	control->workers[0] = worker_full();
	return control;
}

static void control_empty(struct control *control)
{
	free(control->workers[0]);
	free(control->sum);
	limit_free(control->limit);
	allowances_free(control->allowances);
	numbers_free(&control->numbers);
	free(control);
}

/* How many lines one second of the watch logs. */
static size_t watch_lines(struct control *control)
{
	FILE *said = tmpfile();
	int before = dup(STDERR_FILENO);
	size_t lines = 0;

	ck_assert_ptr_nonnull(said);
	ck_assert_int_eq(dup2(fileno(said), STDERR_FILENO), STDERR_FILENO);
	for (int tick = 0; tick < 4; tick++)
		watch_tick(control);
	ck_assert_int_eq(dup2(before, STDERR_FILENO), STDERR_FILENO);
	close(before);
	rewind(said);
	for (int c; (c = getc(said)) != EOF;)
		lines += c == '\n';
	fclose(said);
	return lines;
}

/* A table of one pool, whose backend takes new sessions. */
static struct table *table_that_accepts(void)
{
	static bool accepts = true;
	static struct snapshot_backend backend = { .addr = { .ip = { [15] = 1 }, .port = 6001 } };
	static struct snapshot_pool pool = { .backends = &backend, .backend_count = 1, .accepts = &accepts };
	static struct snapshot snapshot = { .pools = &pool, .pool_count = 1 };
	static struct table table = { .snapshot = &snapshot };

	return &table;
}

/* What was counted for a pool that is gone is no news of the next one. */
START_TEST(test_alarms_are_forgotten)
{
	struct conf_pool pool = { .name = (char[]){ "p" }, .nat.max_flows = 64 };
	struct conf_listener listener = { .name = (char[]){ "l" }, .addr = { .ip = { [15] = 1 }, .port = 5684 } };
	struct conf with = { .pools = &pool, .pool_count = 1, .listeners = &listener, .listener_count = 1 },
		    without = { 0 };
	struct control *control = control_full(&with);
	struct snapshot_pool_spec spec = { .uid = 2 };

	for (uint16_t backend = 0; backend < 2 * limits.max_flows; backend++)
		make(FLOW_ADDRESS, 2, backend, backend);
	atomic_init(&control->publisher.current, table_that_accepts());
	control->listener_uids[0] = 3;
	control->spec = (struct table_spec){ .pools = &spec, .pool_count = 1 };
	control->pools[2].id_moves = control->backends[5].probes[true] = 1;
	/* Forged, no flow, evicted, withheld, reflected, a server that checks return routability, limited, refused by
	 * the kernel, and dropped by it: from devices and from servers. */
	ck_assert_uint_eq(watch_lines(control), 10);
	ck_assert_uint_eq(watch_lines(control), 0);

	ck_assert_int_eq(flows_set_limits(flows, 2, &(struct flows_limits){ 0 }), 0);
	control->conf = &without;
	control->spec = (struct table_spec){ 0 };
	reclaim_numbers(control);
	ck_assert_uint_eq(control->pools[2].id_moves + control->backends[5].probes[true], 0);

	control->conf = &with;
	control->spec = (struct table_spec){ .pools = &spec, .pool_count = 1 };
	ck_assert_uint_eq(watch_lines(control), 0);
	control_empty(control);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_table);
	tcase_add_test(tests, test_flows);
	tcase_add_test(tests, test_addresses_of_a_session);
	tcase_add_test(tests, test_flows_that_are_over);
	tcase_add_test(tests, test_clear_evicted);
	tcase_add_test(tests, test_clear_worker);
	tcase_add_test(tests, test_clear_spares_what_is_used);
	tcase_add_test(tests, test_clear_paths);
	tcase_add_test(tests, test_clear_sample);
	tcase_add_test(tests, test_clear_limit);
	tcase_add_test(tests, test_clear_allowances);
	tcase_add_test(tests, test_alarms_are_forgotten);
}
