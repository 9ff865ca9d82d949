/* What a forwarder is shown of a batch. The mode is the suite's own, and stands in the table in the place of
 * another. */
#include "path/errors.h"
#include "path/forward.h"
#include "tests/fixtures/path_bed.h"
#include "tests/unit/suite.h"

#define RECORD_OF(id)                                                                                                  \
	"19fefd0001000000000001" id "20b1d07b359d3c0020000100000000000100112233445566778899aabbccddeeff00112233445566" \
	"77"

enum { DATAGRAMS = 3 };

static struct path_bed bed;
static unsigned recalls, uplinks, replies, errors; /* calls */
static size_t left, came;                          /* datagrams */
static struct undelivered undelivered;

static void own_recall(struct path *path, struct batch *batch)
{
	ck_assert_ptr_eq(path, bed.path);
	for (size_t i = 0; i < batch->count; i++)
		batch->up[i].flow_hash = (uint32_t)i;
	recalls++;
}

static void own_uplinks(struct path *path, struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		ck_assert_uint_eq(batch->up[i].flow_hash, i);
		ck_assert_ptr_eq(batch->up[i].pool, batch->pool);
		ck_assert_uint_eq(batch->up[i].service, bed.configured.listener_uid);
		left += uplink_routed_or_traced(path, &batch->up[i]);
	}
	uplinks++;
}

static void own_replies(struct path *path, struct replies *of)
{
	ck_assert_ptr_eq(path, bed.path);
	ck_assert_uint_eq(of->pool, 0);
	came += of->count;
	replies++;
}

static uint16_t own_error(struct path *path, const struct undelivered *datagram)
{
	ck_assert_ptr_eq(path, bed.path);
	undelivered = *datagram;
	errors++;
	return bed.configured.uid[1];
}

static const struct forwarder own = {
	.own_socket = true,
	.recall = own_recall,
	.uplinks = own_uplinks,
	.replies = own_replies,
	.error = own_error,
};

/* Gives one error of the pool's handle, and then none. */
static size_t one_error(struct io *io, int handle, struct icmp_error **out, bool *more)
{
	static struct icmp_error error;

	(void)io;
	ck_assert_int_eq(handle, 7);
	*out = &error;
	*more = false;
	return 1;
}

static const struct io_ops one_error_ops = { .errors = one_error };

static void set_up(void)
{
	recalls = uplinks = replies = errors = 0;
	left = came = 0;
	path_bed_begin(&bed, NULL);
	path_bed_publish(&bed);
	bed.publisher.current->pools[0].forwarder = &own;
}

static void tear_down(void)
{
	path_bed_end(&bed);
}

/* Each function is called once, with the whole batch. A datagram without a backend is shown only to a trace. */
START_TEST(once_per_batch)
{
	static const char *const hex[DATAGRAMS] = { RECORD_OF("01"), RECORD_OF("09"), RECORD_OF("03") };
	struct io_datagram datagrams[DATAGRAMS];
	struct octets octets[DATAGRAMS];

	for (int i = 0; i < DATAGRAMS; i++) {
		octets[i] = octets_of(hex[i]);
		datagrams[i] = (struct io_datagram){ .data = octets[i].at, .len = octets[i].len };
		ck_assert_int_eq(addr_parse(&datagrams[i].from, "192.0.2.1:4000"), 0);
	}
	batch_uplink(bed.path, path_bed_table(&bed), bed.configured.listener_uid, datagrams, DATAGRAMS);
	batch_pool_reply(bed.path, path_bed_table(&bed), 0, datagrams, DATAGRAMS);
	for (int i = 0; i < DATAGRAMS; i++)
		free(octets[i].at);
	ck_assert_uint_eq(recalls, 1);
	ck_assert_uint_eq(uplinks, 1);
	ck_assert_uint_eq(left, 2);
	ck_assert_uint_eq(replies, 1);
	ck_assert_uint_eq(came, DATAGRAMS);
	ck_assert_uint_eq(bed.path->stats.verdicts[bed.configured.listener_uid][VERDICT_UNKNOWN_CID], 1);
}
END_TEST

/* The mode gets the errors of its own socket as long as the table says that it has one. */
START_TEST(errors_of_its_own_socket)
{
	const uint32_t queue = ERRORS_POOL | bed.configured.pool_uid;

	bed.io.io.ops = &one_error_ops;
	ck_assert_uint_eq(errors_drain(bed.path, path_bed_table(&bed), queue, 7), 1);
	ck_assert_uint_eq(errors, 1);
	ck_assert_uint_eq(undelivered.pool, 0);
	ck_assert_uint_eq(bed.path->stats.icmp_errors[bed.configured.uid[1]], 1);
	bed.publisher.current->pools[0].forwarder = &forward_nat_follow;
	ck_assert_uint_eq(errors_drain(bed.path, path_bed_table(&bed), queue, 7), 1);
	ck_assert_uint_eq(errors, 1);
	ck_assert_uint_eq(bed.path->stats.strays, 1);
}
END_TEST

/* What comes to endpoints is shown to the modes that share them. It is counted once if nobody takes it. */
START_TEST(nobodys)
{
	struct io_datagram datagrams[DATAGRAMS] = { 0 };

	batch_reply(bed.path, path_bed_table(&bed), 40684, datagrams, DATAGRAMS);
	ck_assert_uint_eq(replies, 0);
	ck_assert_uint_eq(bed.path->stats.strays, DATAGRAMS);
	batch_reply(bed.path, path_bed_table(&bed), 40684, datagrams, 0);
	ck_assert_uint_eq(bed.path->stats.strays, DATAGRAMS);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, once_per_batch);
	tcase_add_test(tests, errors_of_its_own_socket);
	tcase_add_test(tests, nobodys);
}
