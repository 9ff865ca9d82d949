/* Uplinks from the batch to the outbox. There are no sockets, so what is sent is refused. */
#include <errno.h>

#include "path/worker.h"
#include "tests/fixtures/path_bed.h"
#include "tests/unit/suite.h"

#define HELLO                                                                                                          \
	"16fefd0000000000000000005d010000510000000000000051fefd6b02c931da6fb8ae951071f14f33a687c2cb1ca5700ee11124708d" \
	"a0292a981c00000004"                                                                                           \
	"c0a800ff01000023000d000e000c0603060105030501040304010036000100001600000017000000230000"
#define RECORD_OF(id)                                                                                                  \
	"19fefd0001000000000001" id "20b1d07b359d3c0020000100000000000100112233445566778899aabbccddeeff00112233445566" \
	"77"

static struct path_bed bed;

static void set_up(void)
{
	path_bed_begin(&bed, NULL);
	io_double_refuse(&bed.io, EBADF, UINT32_MAX);
	path_bed_publish(&bed);
}

static void tear_down(void)
{
	path_bed_end(&bed);
}

static void publish(void)
{
	path_bed_publish(&bed);
}

static void receive(const char *hex)
{
	struct addr from;

	ck_assert_int_eq(addr_parse(&from, "192.0.2.1:4000"), 0);
	path_bed_receive(&bed, &from, NULL, hex);
}

static uint64_t verdicts(enum verdict verdict)
{
	return atomic_load(&bed.path->stats.verdicts[bed.configured.listener_uid][verdict]);
}

static uint64_t refused(enum refused reason)
{
	return atomic_load(&bed.path->stats.refused_up[bed.configured.pool_uid][reason]);
}

/* Datagrams are routed as ever, whichever backend they go to. They are refused, and no flow is made. */
START_TEST(no_address)
{
	for (int i = 0; i < NAT_BACKENDS; i++)
		bed.configured.backend[i].addr = (struct addr){ .port = 6001 };
	publish();
	receive(HELLO);
	receive(RECORD_OF("02"));
	ck_assert_uint_eq(verdicts(VERDICT_HASH), 1);
	ck_assert_uint_eq(verdicts(VERDICT_CID), 1);
	ck_assert_uint_eq(refused(REFUSED_NO_ADDRESS), 2);
	ck_assert_uint_eq(refused(REFUSED_SEND), 0);
	ck_assert_uint_eq(flows_count(bed.shared.flows, bed.configured.pool_uid).flows[FLOW_CLASS_HANDSHAKE], 0);
}
END_TEST

START_TEST(one_without_address)
{
	bed.configured.backend[0].addr = (struct addr){ .port = 6001 };
	publish();
	receive(RECORD_OF("01"));
	receive(RECORD_OF("02"));
	ck_assert_uint_eq(verdicts(VERDICT_CID), 2);
	ck_assert_uint_eq(refused(REFUSED_NO_ADDRESS), 1);
	ck_assert_uint_eq(refused(REFUSED_SEND), 1);
	ck_assert_uint_eq(flows_count(bed.shared.flows, bed.configured.pool_uid).flows[FLOW_CLASS_HANDSHAKE], 1);
	/* The name is resolved. */
	ck_assert_int_eq(addr_parse(&bed.configured.backend[0].addr, "127.0.0.9:6001"), 0);
	publish();
	receive(RECORD_OF("01"));
	ck_assert_uint_eq(refused(REFUSED_NO_ADDRESS), 1);
	ck_assert_uint_eq(refused(REFUSED_SEND), 2);
}
END_TEST

static uint32_t cid_last_s(int backend)
{
	return bed.path->cid_last_s[bed.configured.uid[backend]];
}

START_TEST(last_cid)
{
	ck_assert_uint_eq(cid_last_s(1), 0);
	receive(RECORD_OF("02"));
	ck_assert_uint_eq(cid_last_s(1), 5);
	bed.path->clock_ms = 7999;
	receive(RECORD_OF("02"));
	ck_assert_uint_eq(cid_last_s(1), 7);
	/* None of these counts: a ClientHello, a CID of nobody, a CID of another backend. */
	bed.path->clock_ms = 9000;
	receive(HELLO);
	receive(RECORD_OF("09"));
	receive(RECORD_OF("03"));
	ck_assert_uint_eq(cid_last_s(0), 0);
	ck_assert_uint_eq(cid_last_s(1), 7);
	ck_assert_uint_eq(cid_last_s(2), 9);
}
END_TEST

/* A draining backend counts, too. A backend in maint does not, because nothing arrives there. */
START_TEST(last_cid_by_state)
{
	bed.configured.backend[0].admin = BACKEND_DRAIN;
	bed.configured.backend[1].admin = BACKEND_MAINT;
	publish();
	receive(RECORD_OF("01"));
	receive(RECORD_OF("02"));
	ck_assert_uint_eq(cid_last_s(0), 5);
	ck_assert_uint_eq(cid_last_s(1), 0);
	ck_assert_uint_eq(verdicts(VERDICT_CID_DRAINING), 1);
	ck_assert_uint_eq(verdicts(VERDICT_MAINT), 1);
}
END_TEST

/* The worker that saw a CID last tells the time. Without workers nobody does. */
START_TEST(last_cid_of_several_workers)
{
	const uint16_t backend = bed.configured.uid[1];
	struct worker *workers[2];

	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(worker_new(&workers[i], &bed.shared), 0);
	workers[0]->path.cid_last_s[backend] = 4;
	workers[1]->path.cid_last_s[backend] = 5;
	ck_assert_uint_eq(worker_cid_last_s(workers, 2, backend), 5);
	workers[0]->path.cid_last_s[backend] = 6;
	ck_assert_uint_eq(worker_cid_last_s(workers, 2, backend), 6);
	ck_assert_uint_eq(worker_cid_last_s(workers, 0, backend), 0);
	for (int i = 0; i < 2; i++)
		worker_free(workers[i]);
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
