/* Uplinks from the batch to the outbox, without sockets: what is sent is refused by a descriptor that is none. */
#include "path/batch.h"
#include "tests/fixtures/nat_table.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

#define HELLO                                                                                                          \
	"16fefd0000000000000000005d010000510000000000000051fefd6b02c931da6fb8ae951071f14f33a687c2cb1ca5700ee11124708d" \
	"a0292a981c00000004"                                                                                           \
	"c0a800ff01000023000d000e000c0603060105030501040304010036000100001600000017000000230000"
#define RECORD_OF(id)                                                                                                  \
	"19fefd0001000000000001" id "20b1d07b359d3c0020000100000000000100112233445566778899aabbccddeeff00112233445566" \
	"77"

static struct nat_table configured;
static struct publisher publisher;
static struct flows *flows;
static struct service_addrs *service_addrs;
static struct limit *limit;
static struct worker *worker;

static void set_up(void)
{
	static const uint8_t secret[16] = { 1 };
	static const struct flows_limits limits = { .max_flows = 64, .idle_ms = 1000, .cid_idle_ms = 2000 };

	rcu_register_thread();
	nat_table_init(&configured);
	flows = flows_new(secret);
	service_addrs = service_addrs_new();
	limit = limit_new(STATS_POOLS, STATS_BACKENDS, secret);
	ck_assert(flows && service_addrs && limit);
	publisher_publish(&publisher, nat_table_build(&configured, NULL));
	ck_assert_int_eq(flows_set_limits(flows, configured.pool_uid, &limits), 0);
	ck_assert_int_eq(worker_new(&worker, &publisher, flows, service_addrs, limit, NULL), 0);
	worker->clock_ms = 5000;
	worker->now_ms = 5000;
}

static void tear_down(void)
{
	worker_free(worker);
	publisher_publish(&publisher, NULL);
	flows_free(flows);
	service_addrs_free(service_addrs);
	limit_free(limit);
	nat_table_end(&configured);
	rcu_unregister_thread();
}

static void publish(void)
{
	publisher_publish(&publisher, nat_table_build(&configured, publisher_read(&publisher)));
}

static void receive(const char *hex)
{
	struct octets in = octets_of(hex);
	struct io_datagram datagram = { .data = in.at, .len = in.len };

	ck_assert_int_eq(addr_parse(&datagram.from, "192.0.2.1:4000"), 0);
	batch_uplink(worker, publisher_read(&publisher), configured.listener_uid, &datagram, 1);
	io_flush(worker->outbox);
	free(in.at);
}

static uint64_t verdicts(enum verdict verdict)
{
	return atomic_load(&worker->stats.verdicts[configured.listener_uid][verdict]);
}

static uint64_t refused(enum refused reason)
{
	return atomic_load(&worker->stats.refused_up[configured.pool_uid][reason]);
}

/* Whoever it would go to: routed as ever, refused, and no flow is made. */
START_TEST(no_address)
{
	for (int i = 0; i < NAT_BACKENDS; i++)
		configured.backend[i].addr = (struct addr){ .port = 6001 };
	publish();
	receive(HELLO);
	receive(RECORD_OF("02"));
	ck_assert_uint_eq(verdicts(VERDICT_HASH), 1);
	ck_assert_uint_eq(verdicts(VERDICT_CID), 1);
	ck_assert_uint_eq(refused(REFUSED_NO_ADDRESS), 2);
	ck_assert_uint_eq(refused(REFUSED_SEND), 0);
	ck_assert_uint_eq(flows_count(flows, configured.pool_uid).trial, 0);
}
END_TEST

START_TEST(one_without_address)
{
	configured.backend[0].addr = (struct addr){ .port = 6001 };
	publish();
	receive(RECORD_OF("01"));
	receive(RECORD_OF("02"));
	ck_assert_uint_eq(verdicts(VERDICT_CID), 2);
	ck_assert_uint_eq(refused(REFUSED_NO_ADDRESS), 1);
	ck_assert_uint_eq(refused(REFUSED_SEND), 1);
	ck_assert_uint_eq(flows_count(flows, configured.pool_uid).trial, 1);
	/* Resolved. */
	ck_assert_int_eq(addr_parse(&configured.backend[0].addr, "127.0.0.9:6001"), 0);
	publish();
	receive(RECORD_OF("01"));
	ck_assert_uint_eq(refused(REFUSED_NO_ADDRESS), 1);
	ck_assert_uint_eq(refused(REFUSED_SEND), 2);
}
END_TEST

static uint32_t cid_last_s(int backend)
{
	return worker_cid_last_s(&worker, 1, configured.uid[backend]);
}

START_TEST(last_cid)
{
	ck_assert_uint_eq(cid_last_s(1), 0);
	receive(RECORD_OF("02"));
	ck_assert_uint_eq(cid_last_s(1), 5);
	worker->clock_ms = 7999;
	receive(RECORD_OF("02"));
	ck_assert_uint_eq(cid_last_s(1), 7);
	/* Neither a ClientHello, nor a CID of nobody, nor one of another. */
	worker->clock_ms = 9000;
	receive(HELLO);
	receive(RECORD_OF("09"));
	receive(RECORD_OF("03"));
	ck_assert_uint_eq(cid_last_s(0), 0);
	ck_assert_uint_eq(cid_last_s(1), 7);
	ck_assert_uint_eq(cid_last_s(2), 9);
}
END_TEST

/* Draining too; not in maint, where nothing arrives. */
START_TEST(last_cid_by_state)
{
	configured.backend[0].admin = BACKEND_DRAIN;
	configured.backend[1].admin = BACKEND_MAINT;
	publish();
	receive(RECORD_OF("01"));
	receive(RECORD_OF("02"));
	ck_assert_uint_eq(cid_last_s(0), 5);
	ck_assert_uint_eq(cid_last_s(1), 0);
	ck_assert_uint_eq(verdicts(VERDICT_CID_DRAINING), 1);
	ck_assert_uint_eq(verdicts(VERDICT_MAINT), 1);
}
END_TEST

START_TEST(last_cid_of_several_workers)
{
	struct worker *other;

	ck_assert_int_eq(worker_new(&other, &publisher, flows, service_addrs, limit, NULL), 0);
	receive(RECORD_OF("02"));
	other->cid_last_s[configured.uid[1]] = 4;
	ck_assert_uint_eq(worker_cid_last_s((struct worker *[]){ other, worker }, 2, configured.uid[1]), 5);
	other->cid_last_s[configured.uid[1]] = 6;
	ck_assert_uint_eq(worker_cid_last_s((struct worker *[]){ other, worker }, 2, configured.uid[1]), 6);
	ck_assert_uint_eq(worker_cid_last_s(&worker, 0, configured.uid[1]), 0);
	worker_free(other);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, no_address);
	tcase_add_test(tests, one_without_address);
	tcase_add_test(tests, last_cid);
	tcase_add_test(tests, last_cid_by_state);
	tcase_add_test(tests, last_cid_of_several_workers);
}
