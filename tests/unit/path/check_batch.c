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
	for (size_t i = 0; i < of->count; i++)
		came += !of->taken[i];
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

static char asked[DATAGRAMS * 2 + 1]; /* each call of own_look() or own_take(): 'l' or 't' */
static enum hello_step looks_like[DATAGRAMS];

static enum hello_step own_look(struct path *path, struct uplink *up)
{
	ck_assert_ptr_eq(path, bed.path);
	strcat(asked, "l");
	return looks_like[up->flow_hash];
}

static void own_take(struct path *path, struct uplink *up)
{
	ck_assert_ptr_eq(path, bed.path);
	ck_assert(verdict_is_routed(up->decision->verdict));
	strcat(asked, "t");
}

static const struct forwarder with_hellos = {
	.own_socket = true,
	.recall = own_recall,
	.hello_look = own_look,
	.hello_take = own_take,
	.uplinks = own_uplinks,
	.replies = own_replies,
	.error = own_error,
};

/* Three ClientHellos of one address in one batch. */
static void receive_hellos(void)
{
	static const char hex[] = "16fefd000000000000000000 0c 01 000051 0000 000000 000000";
	struct io_datagram datagrams[DATAGRAMS];
	struct octets in = octets_of(hex);

	for (int i = 0; i < DATAGRAMS; i++) {
		datagrams[i] = (struct io_datagram){ .data = in.at, .len = in.len };
		ck_assert_int_eq(addr_parse(&datagrams[i].from, "192.0.2.1:4000"), 0);
	}
	left = 0;
	*asked = '\0';
	batch_uplink(bed.path, path_bed_table(&bed), bed.configured.listener_uid, datagrams, DATAGRAMS);
	free(in.at);
}

static uint64_t limited(void)
{
	return bed.path->stats.verdicts[bed.configured.listener_uid][VERDICT_LIMITED];
}

/* hello_rate admits handshakes: what goes on with one is free, and what is alone is of no use. Each ClientHello is
 * remembered before the next one is looked at. */
START_TEST(handshakes_not_datagrams)
{
	struct table_pool *settings = &bed.publisher.current->pools[0];

	settings->forwarder = &with_hellos;
	settings->hello_rates.pool = limit_rate_make(1); /* two at once */
	memcpy(looks_like, (enum hello_step[]){ HELLO_BEGINS, HELLO_GOES_ON, HELLO_GOES_ON }, sizeof looks_like);
	receive_hellos();
	ck_assert_str_eq(asked, "ltltlt");
	ck_assert_uint_eq(left, 3);
	memcpy(looks_like, (enum hello_step[]){ HELLO_LONE, HELLO_NONE, HELLO_BEGINS }, sizeof looks_like);
	receive_hellos();
	ck_assert_str_eq(asked, "lltl");
	ck_assert_uint_eq(left, 1);
	ck_assert_uint_eq(limited(), 2);
	memcpy(looks_like, (enum hello_step[]){ HELLO_GOES_ON, HELLO_BEGINS, HELLO_GOES_ON }, sizeof looks_like);
	receive_hellos();
	ck_assert_str_eq(asked, "ltllt");
	ck_assert_uint_eq(left, 2);
	ck_assert_uint_eq(limited(), 3);
}
END_TEST

/* There is nothing to protect, so nothing is looked at. */
START_TEST(no_rates)
{
	bed.publisher.current->pools[0].forwarder = &with_hellos;
	memcpy(looks_like, (enum hello_step[]){ HELLO_LONE, HELLO_LONE, HELLO_LONE }, sizeof looks_like);
	receive_hellos();
	ck_assert_str_eq(asked, "ttt");
	ck_assert_uint_eq(left, 3);
	ck_assert_uint_eq(limited(), 0);
}
END_TEST

/* A mode that remembers nothing: each ClientHello costs one. */
START_TEST(nothing_remembered)
{
	bed.publisher.current->pools[0].hello_rates.backend = limit_rate_make(1);
	receive_hellos();
	ck_assert_str_eq(asked, "");
	ck_assert_uint_eq(left, 2);
	ck_assert_uint_eq(limited(), 1);
}
END_TEST

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

/* The interface of each backend is known, so what has its address counts from no other one. All backends of the table
 * have one address, and which of them is named does not matter. */
START_TEST(through_another_interface)
{
	static const struct {
		const char *from;
		uint32_t iface;
		size_t segment, comes, counted;
	} cases[] = {
		{ "127.0.0.1:6001", 4, 0, 1, 0 },     /* the right one */
		{ "127.0.0.1:6001", 5, 0, 0, 1 },     /* another one */
		{ "127.0.0.1:9", 5, 0, 0, 1 },        /* the port does not matter */
		{ "127.0.0.1:6001", 5, 10, 0, 4 },    /* several at once, of which the last is shorter */
		{ "127.0.0.1:6001", 0, 0, 1, 0 },     /* the kernel did not tell */
		{ "127.0.0.2:6001", 5, 0, 1, 0 },     /* no backend */
		{ "[::127.0.0.1]:6001", 5, 0, 1, 0 }, /* no backend */
	};
	uint8_t octets[35] = { 0 };

	bed.configured.iface = 4;
	path_bed_publish(&bed);
	bed.publisher.current->pools[0].forwarder = &own;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct io_datagram datagram = {
			.data = octets, .len = sizeof octets, .iface = cases[i].iface, .segment = cases[i].segment
		};
		uint64_t counted = 0;

		came = 0;
		memset(bed.path->stats.wrong_interface, 0, sizeof bed.path->stats.wrong_interface);
		bed.path->stats.strays = 0;
		ck_assert_int_eq(addr_parse(&datagram.from, cases[i].from), 0);
		batch_pool_reply(bed.path, path_bed_table(&bed), 0, &datagram, 1);
		for (int j = 0; j < NAT_BACKENDS; j++)
			counted += bed.path->stats.wrong_interface[bed.configured.uid[j]];
		ck_assert_msg(came == cases[i].comes && counted == cases[i].counted, "case %zu", i);
		batch_reply(bed.path, path_bed_table(&bed), 40684, &datagram, 1);
		ck_assert_uint_eq(bed.path->stats.strays, cases[i].comes);
	}
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
	tcase_add_test(tests, handshakes_not_datagrams);
	tcase_add_test(tests, no_rates);
	tcase_add_test(tests, nothing_remembered);
	tcase_add_test(tests, errors_of_its_own_socket);
	tcase_add_test(tests, through_another_interface);
	tcase_add_test(tests, nobodys);
}
