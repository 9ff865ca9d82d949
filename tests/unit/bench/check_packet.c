#include <arpa/inet.h>
#include <unistd.h>

#include "bench/programs/load/packet.h"
#include "tests/unit/suite.h"

enum { WAIT_US = 20000 };

static struct packet_batch batch;
static struct sockaddr_in name;
static int fd;

static void begin(void)
{
	socklen_t len = sizeof name;

	name = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	fd = packet_bind(&name);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&name, &len), 0);
}

static void end(void)
{
	close(fd);
}

/* Sends itself a datagram, and gets to it late. */
static void receive_late(void)
{
	ck_assert_int_eq(sendto(fd, "x", 1, 0, (struct sockaddr *)&name, sizeof name), 1);
	usleep(WAIT_US);
	ck_assert_uint_eq(packet_receive(&batch, fd), 1);
	ck_assert_uint_eq(batch.headers[0].msg_len, 1);
	ck_assert_uint_eq(packet_local(&batch, 0), INADDR_LOOPBACK);
}

START_TEST(age_counts_from_when_the_kernel_had_it)
{
	int tries = 100;

	ck_assert_int_eq(packet_note_times(fd), 0);
	/* The kernel begins with that a little later, if it is the first socket that asks. */
	do
		receive_late();
	while (packet_age_ns(&batch, 0) < (uint64_t)WAIT_US * 1000 && --tries > 0);
	ck_assert_int_gt(tries, 0);
}
END_TEST

START_TEST(age_is_unknown_unless_it_is_to_be_noted)
{
	receive_late();
	ck_assert_uint_eq(packet_age_ns(&batch, 0), 0);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, begin, end);
	tcase_add_test(tests, age_counts_from_when_the_kernel_had_it);
	tcase_add_test(tests, age_is_unknown_unless_it_is_to_be_noted);
}
