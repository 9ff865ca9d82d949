/* A session has one endpoint for life. At a single source address that is one port, which is opened or not: where it
 * cannot be had now, the session gets no other one. */
#include <errno.h>

#include "tests/fixtures/path_bed.h"
#include "tests/unit/suite.h"

#define RECORD                                                                                                         \
	"19fefd00010000000000010120b1d07b359d3c0020000100000000000100112233445566778899aabbccddeeff00112233445566"     \
	"77"

static struct path_bed bed;
static int answers[2]; /* to the first question, and to all others */
static unsigned asked;
static uint16_t ports[64];

static int answer(void *ctx, struct port_sockets *of, uint16_t port)
{
	(void)ctx;
	(void)of;
	ck_assert_uint_lt(asked, 64);
	ports[asked] = port;
	return answers[asked++ > 0];
}

static void set_up(void)
{
	struct conf_nat *nat = &bed.configured.pool.nat;

	asked = 0;
	path_bed_begin(&bed, NULL);
	nat->single = true;
	nat->sources[0].bits = 32;
	nat->port_first = 20000;
	nat->port_last = 20999;
	path_bed_publish(&bed);
	bed.path->open_port = answer;
}

static void tear_down(void)
{
	path_bed_end(&bed);
}

static void receive(void)
{
	struct addr from;

	ck_assert_int_eq(addr_parse(&from, "192.0.2.1:4000"), 0);
	path_bed_receive(&bed, &from, NULL, RECORD);
}

static uint64_t refused(void)
{
	return bed.path->stats.refused_up[bed.configured.pool_uid][REFUSED_FLOWS];
}

START_TEST(none_to_be_had_now)
{
	static const int errors[] = { -EMFILE, -ENFILE, -ENOMEM, -ENOBUFS, -EAGAIN, -ENOSPC };
	uint16_t port;

	answers[0] = errors[_i];
	answers[1] = 7;
	receive();
	ck_assert_uint_eq(asked, 1);
	ck_assert_uint_eq(refused(), 1);
	ck_assert_uint_eq(flows_count(bed.shared.flows, bed.configured.pool_uid).flows[FLOW_CLASS_HANDSHAKE], 0);
	/* The same one, once it is there. */
	port = ports[0];
	answers[0] = 7;
	asked = 0;
	receive();
	ck_assert_uint_eq(asked, 1);
	ck_assert_uint_eq(ports[0], port);
	ck_assert_uint_eq(refused(), 1);
	ck_assert_uint_eq(flows_count(bed.shared.flows, bed.configured.pool_uid).flows[FLOW_CLASS_HANDSHAKE], 1);
}
END_TEST

/* That is so for all sessions, and as long as the other program lives. */
START_TEST(another_program_has_it)
{
	answers[0] = -EADDRINUSE;
	answers[1] = 7;
	receive();
	ck_assert_uint_eq(asked, 2);
	ck_assert_uint_ne(ports[0], ports[1]);
	ck_assert_uint_eq(refused(), 0);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, none_to_be_had_now, 0, 6);
	tcase_add_test(tests, another_program_has_it);
}
