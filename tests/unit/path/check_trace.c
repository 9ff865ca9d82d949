/* What a trace keeps, of flows made by hand, and its ring under two threads. */
#include <pthread.h>

#include "path/forward.h"
#include "path/trace.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

static const uint8_t cid[6] = { 1, 2, 3, 4, 5, 6 };
static const struct snapshot_pool pool = { .protocol = POOL_DTLS };
static struct trace_ring *ring;
static struct flow flow;
static uint8_t data[1024];
static struct io_datagram datagram;
static struct dtls_view view;
static struct route_out decision;
static struct uplink up;

static struct addr addr_of(const char *text)
{
	struct addr addr;

	ck_assert_int_eq(addr_parse(&addr, text), 0);
	return addr;
}

static struct ownership_pair pair_of(const char *text)
{
	return (struct ownership_pair){ .device = addr_of(text), .service = 4 };
}

static struct trace_ring *ring_of_cid(void)
{
	struct trace_of of = { .cid_len = sizeof cid };
	struct trace_ring *made;

	memcpy(of.cid, cid, sizeof cid);
	made = trace_ring_new(&of);
	ck_assert_ptr_nonnull(made);
	return made;
}

/* Goes on with a trace of an address. */
static void trace_address(const char *text)
{
	struct trace_of of = { .cid_len = 0 };

	trace_ring_free(ring);
	ck_assert(addr_parse(&of.from, text) == 0 || addr_parse_ip(&of.from, text) == 0);
	ring = trace_ring_new(&of);
	ck_assert_ptr_nonnull(ring);
}

static void set_up(void)
{
	const struct ownership_pair device = pair_of("192.0.2.1:4000");

	ring = ring_of_cid();
	memset(&flow, 0, sizeof flow);
	flow.kind = FLOW_CID;
	flow.backend = 7;
	flow.cid_len = sizeof cid;
	memcpy(flow.cid, cid, sizeof cid);
	flow.endpoint = addr_of("127.64.0.1:40684");
	flow.backend_addr = addr_of("127.0.0.1:6001");
	ownership_prove(&flow.session, &device);
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 7);
	datagram = (struct io_datagram){
		.data = data, .len = 40, .from = addr_of("192.0.2.1:4000"), .local = { [15] = 9 }
	};
	view = (struct dtls_view){ .kind = DTLS_CID, .cid_at = 11 };
	decision = (struct route_out){ .verdict = VERDICT_CID, .cid = data + 11, .cid_len = sizeof cid };
	memcpy(data + 11, cid, sizeof cid);
	up = (struct uplink){
		.datagram = &datagram, .pool = &pool, .view = &view, .decision = &decision, .service = 4
	};
}

static void tear_down(void)
{
	trace_ring_free(ring);
}

/* Takes out the only entry. */
static struct trace_entry only(void)
{
	const struct trace_entry *entry = trace_peek(ring);
	struct trace_entry copy;

	ck_assert_ptr_nonnull(entry);
	copy = *entry;
	trace_drop(ring);
	ck_assert_ptr_null(trace_peek(ring));
	return copy;
}

START_TEST(uplink)
{
	struct trace_entry entry;

	ck_assert_ptr_null(trace_peek(ring));
	trace_up(ring, &up, &flow);
	entry = only();
	ck_assert(entry.up && entry.has_flow);
	ck_assert_uint_gt(entry.time_us, UINT64_C(1700000000) * 1000000);
	ck_assert_int_eq(entry.verdict, VERDICT_CID);
	ck_assert(addr_equal(&entry.from, &datagram.from));
	ck_assert(addr_equal(&entry.endpoint, &flow.endpoint));
	ck_assert(addr_equal(&entry.backend_addr, &flow.backend_addr));
	ck_assert_mem_eq(entry.local, datagram.local, 16);
	ck_assert_uint_eq(entry.service, 4);
	ck_assert_uint_eq(entry.backend, 7);
	ck_assert_int_eq(entry.role, TRACE_PROVEN);
	ck_assert_uint_eq(entry.len, 40);
	ck_assert_uint_eq(entry.kept, 40);
	ck_assert_mem_eq(entry.data, data, 40);
}
END_TEST

/* There are no flows, as in mode tunnel. */
START_TEST(stateless)
{
	const struct snapshot_backend backend = { .uid = 7, .addr = flow.backend_addr };
	struct trace_entry entry;

	trace_up_stateless(ring, &up, &backend, &datagram.from);
	entry = only();
	ck_assert(entry.up && entry.has_flow);
	ck_assert_int_eq(entry.verdict, VERDICT_CID);
	ck_assert(addr_equal(&entry.endpoint, &datagram.from));
	ck_assert(addr_equal(&entry.backend_addr, &backend.addr));
	ck_assert_uint_eq(entry.backend, 7);
	ck_assert_uint_eq(entry.kept, 40);
	trace_up_stateless(ring, &up, NULL, &datagram.from);
	entry = only();
	ck_assert(entry.up && !entry.has_flow);
	decision.cid_len--;
	trace_up_stateless(ring, &up, &backend, &datagram.from);
	decision.cid_len++;
	data[11]++;
	trace_up_stateless(ring, &up, &backend, &datagram.from);
	ck_assert_ptr_null(trace_peek(ring));
}
END_TEST

/* The first octets of the CID are another CID, and so is a longer one. */
START_TEST(other_sessions)
{
	flow.cid[5]++;
	trace_up(ring, &up, &flow);
	flow.cid[5]--;
	flow.cid_len = 5;
	trace_up(ring, &up, &flow);
	trace_down(ring, &datagram, &flow, NULL, 0);
	flow.cid_len = 7;
	trace_up(ring, &up, &flow);
	flow.cid_len = 0;
	trace_up(ring, &up, &flow);
	ck_assert_ptr_null(trace_peek(ring));
}
END_TEST

START_TEST(not_sent)
{
	struct trace_entry entry;

	decision.verdict = VERDICT_MAINT;
	datagram.len = 11 + sizeof cid;
	trace_up(ring, &up, NULL);
	entry = only();
	ck_assert(entry.up && !entry.has_flow);
	ck_assert_int_eq(entry.verdict, VERDICT_MAINT);
	datagram.len--;
	trace_up(ring, &up, NULL);
	datagram.len++;
	data[11]++;
	trace_up(ring, &up, NULL);
	data[11]--;
	view.kind = DTLS_OTHER;
	trace_up(ring, &up, NULL);
	ck_assert_ptr_null(trace_peek(ring));
}
END_TEST

START_TEST(roles)
{
	static const enum flow_kind kinds[] = { FLOW_ADDRESS, FLOW_HELLO, FLOW_SOURCE };
	static const enum trace_role expected[] = { TRACE_HANDSHAKE, TRACE_HANDSHAKE, TRACE_OWN_ENDPOINT };
	static const char *const names[TRACE_ROLES] = { "proven", "unproven", "own_endpoint", "handshake" };

	datagram.from = addr_of("192.0.2.2:4000");
	trace_up(ring, &up, &flow);
	ck_assert_int_eq(only().role, TRACE_UNPROVEN);
	flow.session.has_proven = false;
	datagram.from = addr_of("192.0.2.1:4000");
	trace_up(ring, &up, &flow);
	ck_assert_int_eq(only().role, TRACE_UNPROVEN);
	for (int i = 0; i < COUNT_OF(kinds); i++) {
		flow.kind = (uint8_t)kinds[i];
		trace_up(ring, &up, &flow);
		ck_assert_int_eq(only().role, expected[i]);
	}
	for (enum trace_role role = 0; role < TRACE_ROLES; role++)
		ck_assert_str_eq(trace_role_name(role), names[role]);
}
END_TEST

START_TEST(downlink)
{
	const struct ownership_pair to[] = { pair_of("192.0.2.1:4000"), pair_of("192.0.2.2:4000"),
					     pair_of("192.0.2.3:4000") };
	struct trace_entry entry;

	datagram.from = flow.backend_addr;
	trace_down(ring, &datagram, &flow, to, 3);
	entry = only();
	ck_assert(!entry.up && entry.has_flow);
	ck_assert(addr_equal(&entry.from, &flow.backend_addr));
	ck_assert_uint_eq(entry.to_count, 3);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_mem_eq(&entry.to[i].pair, &to[i], sizeof to[i]);
		ck_assert_int_eq(entry.to[i].role, i == 0 ? TRACE_PROVEN : TRACE_UNPROVEN);
	}
	trace_down(ring, &datagram, &flow, to, 0);
	ck_assert_uint_eq(only().to_count, 0);
}
END_TEST

/* To as many as may get one. */
START_TEST(downlink_to_all)
{
	struct ownership_pair to[OWNERSHIP_WAYS_BACK];
	struct trace_entry entry;

	for (unsigned i = 0; i < OWNERSHIP_WAYS_BACK; i++) {
		to[i] = pair_of("192.0.2.1:4000");
		to[i].device.port = (uint16_t)(4000 + i);
	}
	trace_down(ring, &datagram, &flow, to, OWNERSHIP_WAYS_BACK);
	entry = only();
	ck_assert_uint_eq(entry.to_count, OWNERSHIP_WAYS_BACK);
	for (unsigned i = 0; i < OWNERSHIP_WAYS_BACK; i++)
		ck_assert_mem_eq(&entry.to[i].pair, &to[i], sizeof to[i]);
}
END_TEST

/* Whatever it sends, and whatever it gets: a handshake has no CID yet, and what is dropped has none at all. */
START_TEST(by_address)
{
	static const char *const texts[] = { "192.0.2.1", "192.0.2.1:4000" };
	static const char *const others[] = { "192.0.2.2", "192.0.2.1:4001", "::1" };
	const struct ownership_pair to[] = { pair_of("192.0.2.9:4000"), pair_of("192.0.2.1:4000") };
	const struct snapshot_backend backend = { .uid = 7, .addr = flow.backend_addr };
	struct io_datagram reply = { .data = data, .len = 40, .from = flow.backend_addr };

	flow.kind = FLOW_ADDRESS;
	flow.cid_len = 0;
	decision.cid_len = 0;
	view.kind = DTLS_OTHER;
	for (int i = 0; i < COUNT_OF(texts); i++) {
		trace_address(texts[i]);
		trace_up(ring, &up, &flow);
		ck_assert_int_eq(only().role, TRACE_HANDSHAKE);
		trace_up(ring, &up, NULL);
		ck_assert(!only().has_flow);
		trace_up_stateless(ring, &up, &backend, &datagram.from);
		ck_assert_uint_eq(only().backend, 7);
		trace_down(ring, &reply, &flow, to, 2);
		ck_assert_uint_eq(only().to_count, 2);
		trace_down(ring, &reply, &flow, to, 1);
		ck_assert_ptr_null(trace_peek(ring));
	}
	for (int i = 0; i < COUNT_OF(others); i++) {
		trace_address(others[i]);
		trace_up(ring, &up, &flow);
		trace_up(ring, &up, NULL);
		trace_up_stateless(ring, &up, &backend, &datagram.from);
		trace_down(ring, &reply, &flow, to + 1, 1);
		ck_assert_ptr_null(trace_peek(ring));
	}
}
END_TEST

START_TEST(long_datagrams)
{
	static const size_t lens[] = { 0, TRACE_OCTETS - 1, TRACE_OCTETS, TRACE_OCTETS + 1, sizeof data };

	for (int i = 0; i < COUNT_OF(lens); i++) {
		struct octets exact = octets_copy(data, lens[i]);
		struct trace_entry entry;

		datagram.data = exact.at;
		datagram.len = lens[i];
		trace_up(ring, &up, &flow);
		entry = only();
		ck_assert_uint_eq(entry.len, lens[i]);
		ck_assert_uint_eq(entry.kept, lens[i] < TRACE_OCTETS ? lens[i] : TRACE_OCTETS);
		ck_assert_int_eq(memcmp(entry.data, data, entry.kept), 0);
		free(exact.at);
	}
}
END_TEST

static void up_numbered(uint16_t number)
{
	up.service = number;
	trace_up(ring, &up, &flow);
}

START_TEST(full)
{
	for (uint16_t i = 0; i < TRACE_ENTRIES; i++)
		up_numbered(i);
	ck_assert_uint_eq(trace_missed(ring), 0);
	up_numbered(TRACE_ENTRIES);
	ck_assert_uint_eq(trace_missed(ring), 1);
	ck_assert_uint_eq(trace_peek(ring)->service, 0);
	trace_drop(ring);
	up_numbered(TRACE_ENTRIES + 1);
	up_numbered(TRACE_ENTRIES + 2);
	ck_assert_uint_eq(trace_missed(ring), 2);
	for (uint16_t i = 1; i < TRACE_ENTRIES; i++, trace_drop(ring))
		ck_assert_uint_eq(trace_peek(ring)->service, i);
	ck_assert_uint_eq(only().service, TRACE_ENTRIES + 1);
}
END_TEST

enum { PASSING = 60000 };

static void *worker_run(void *arg)
{
	(void)arg;
	for (uint16_t i = 0; i < PASSING; i++)
		up_numbered(i);
	return NULL;
}

START_TEST(two_threads)
{
	unsigned taken = 0;
	pthread_t worker;
	int last = -1;

	ck_assert_int_eq(pthread_create(&worker, NULL, worker_run, NULL), 0);
	while (taken + trace_missed(ring) < PASSING) {
		const struct trace_entry *entry = trace_peek(ring);

		if (!entry)
			continue;
		ck_assert_int_gt(entry->service, last);
		ck_assert_mem_eq(entry->data, data, 40);
		last = entry->service;
		taken++;
		trace_drop(ring);
	}
	pthread_join(worker, NULL);
	ck_assert_ptr_null(trace_peek(ring));
	ck_assert_uint_eq(taken + trace_missed(ring), PASSING);
	ck_assert_uint_ge(taken, TRACE_ENTRIES);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, uplink);
	tcase_add_test(tests, stateless);
	tcase_add_test(tests, other_sessions);
	tcase_add_test(tests, not_sent);
	tcase_add_test(tests, roles);
	tcase_add_test(tests, downlink);
	tcase_add_test(tests, downlink_to_all);
	tcase_add_test(tests, by_address);
	tcase_add_test(tests, long_datagrams);
	tcase_add_test(tests, full);
	tcase_add_test(tests, two_threads);
}
