/* Which refused sends are tried again, and how often. */
#include <check.h>
#include <errno.h>

#include "tests/fixtures/io_double.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

static const int own[] = { EPERM, EINVAL, EBADF, ENOBUFS, EAGAIN, ENOMEM, EIO, EPIPE };
static const int foreign[] = { ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EPROTO,    EMSGSIZE,
			       EACCES,       EOPNOTSUPP,   ENOPROTOOPT, EHOSTDOWN, ENONET };

enum { QUEUE = 7, FROM = 9, DATAGRAMS = 3 };

static struct io_outbox *outbox;
static struct stats_sent sent;
static stats_counter refused, segmented, fragmented;
static struct io_pmtu path;
static struct addr to_addr;
static struct io_double io;
static unsigned drains, drain_finds; /* how many of the next drains find an error */

static size_t drain(void *ctx, int handle, uint32_t queue)
{
	ck_assert_ptr_eq(ctx, &drains);
	ck_assert_int_eq(handle, FROM);
	ck_assert_uint_eq(queue, QUEUE);
	drains++;
	if (drain_finds == 0)
		return 0;
	drain_finds--;
	return 1;
}

static void outbox_set_up(void)
{
	io_double_init(&io, NULL);
	drains = drain_finds = 0;
	sent.datagrams = sent.octets = refused = segmented = fragmented = 0;
	outbox = io_outbox_new(&io.io, drain, &drains);
	ck_assert_ptr_nonnull(outbox);
	ck_assert_int_eq(addr_parse(&to_addr, "192.0.2.1:5684"), 0);
	path = (struct io_pmtu){
		.to = to_addr, .most = UINT16_MAX, .segmented = &segmented, .fragmented = &fragmented
	};
}

static void outbox_tear_down(void)
{
	io_outbox_free(outbox);
}

static void queue(uint32_t of, struct io_pmtu *by, size_t octets)
{
	static const uint8_t data[1200];

	io_queue(outbox, &(struct io_send){
				 .handle = FROM,
				 .data = data,
				 .len = octets,
				 .to = to_addr,
				 .pmtu = by,
				 .queue = of,
				 .sent = &sent,
				 .refused = &refused,
			 });
}

/* Each of three datagrams is refused for good, after so many sends and drains. */
static void assert_each_refused(int error, uint32_t of, unsigned sends_each, unsigned drains_each)
{
	io_double_refuse(&io, error, UINT32_MAX);
	for (int i = 0; i < DATAGRAMS; i++)
		queue(of, NULL, 5);
	io_flush(outbox);
	ck_assert_uint_eq(refused, DATAGRAMS);
	ck_assert_uint_eq(sent.datagrams, 0);
	ck_assert_msg(io.sends == DATAGRAMS * sends_each, "%u sends", io.sends);
	ck_assert_msg(drains == DATAGRAMS * drains_each, "%u drains", drains);
}

START_TEST(own_errors_are_final)
{
	assert_each_refused(own[_i], QUEUE, 1, 0);
}
END_TEST

/* A listener's socket has no error queue, so the errors of other datagrams do not come to it. */
START_TEST(final_without_a_queue)
{
	assert_each_refused(foreign[_i], 0, 1, 0);
}
END_TEST

START_TEST(final_with_an_empty_queue)
{
	assert_each_refused(foreign[_i], QUEUE, 2, 2);
}
END_TEST

START_TEST(bounded)
{
	drain_finds = UINT32_MAX;
	assert_each_refused(foreign[_i], QUEUE, IO_TRIES, IO_TRIES - 1);
}
END_TEST

/* The send meets two errors of other datagrams, and then leaves. */
START_TEST(tried_again_after_others_errors)
{
	io_double_refuse(&io, foreign[_i], 2);
	drain_finds = 2;
	for (int i = 0; i < DATAGRAMS; i++)
		queue(QUEUE, NULL, 5);
	io_flush(outbox);
	ck_assert_uint_eq(sent.datagrams, DATAGRAMS);
	ck_assert_uint_eq(refused, 0);
	ck_assert_uint_eq(io.sends, 3);
	ck_assert_uint_eq(drains, 2);
}
END_TEST

/* Another worker was faster, or the error found no room in the queue. */
START_TEST(tried_again_after_an_error_that_is_gone)
{
	io_double_refuse(&io, foreign[_i], 1);
	queue(QUEUE, NULL, 5);
	io_flush(outbox);
	ck_assert_uint_eq(sent.datagrams, 1);
	ck_assert_uint_eq(io.sends, 2);
	ck_assert_uint_eq(drains, 1);
}
END_TEST

/* The kernel makes none of these errors of an ICMP error. */
START_TEST(a_path_learns_at_once)
{
	static const int errors[] = { EINVAL, EIO };

	io_double_refuse(&io, errors[_i], 1);
	queue(QUEUE, &path, 5);
	queue(QUEUE, &path, 5);
	io_flush(outbox);
	ck_assert_uint_eq(path.most, 0);
	ck_assert_uint_eq(sent.datagrams, 2);
	ck_assert_uint_eq(segmented + refused, 0);
	ck_assert_uint_eq(io.sends, 2);
	ck_assert_uint_eq(drains, 0);
}
END_TEST

START_TEST(a_path_learns_its_size_from_an_empty_queue)
{
	io_double_refuse(&io, EMSGSIZE, 3);
	drain_finds = 1;
	queue(QUEUE, &path, 1200);
	queue(QUEUE, &path, 1200);
	io_flush(outbox);
	ck_assert_uint_eq(path.most, 1199);
	ck_assert_uint_eq(fragmented, 2);
	ck_assert_uint_eq(segmented + refused, 0);
	ck_assert_uint_eq(io.sends, 4);
	ck_assert_uint_eq(drains, 3);
}
END_TEST

START_TEST(a_path_learns_nothing_from_others_errors)
{
	io_double_refuse(&io, EMSGSIZE, 2);
	drain_finds = 2;
	queue(QUEUE, &path, 1200);
	queue(QUEUE, &path, 1200);
	io_flush(outbox);
	ck_assert_uint_eq(path.most, UINT16_MAX);
	ck_assert_uint_eq(segmented, 2);
	ck_assert_uint_eq(io.sends, 3);
}
END_TEST

/* Each datagram is counted, also those of a group. */
START_TEST(no_handle)
{
	for (size_t octets = 5; octets < 7; octets++)
		for (int i = 0; i < 2; i++)
			io_queue(outbox, &(struct io_send){
						 .handle = -1,
						 .data = (const uint8_t[7]){ 0 },
						 .len = octets,
						 .to = to_addr,
						 .pmtu = &path,
						 .sent = &sent,
						 .refused = &refused,
					 });
	io_flush(outbox);
	ck_assert_uint_eq(refused, 4);
	ck_assert_uint_eq(sent.datagrams + sent.octets + segmented + fragmented, 0);
	ck_assert_uint_eq(path.most, UINT16_MAX);
	ck_assert_uint_eq(io.sends, 0);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, outbox_set_up, outbox_tear_down);
	tcase_add_loop_test(tests, own_errors_are_final, 0, COUNT_OF(own));
	tcase_add_loop_test(tests, final_without_a_queue, 0, COUNT_OF(foreign));
	tcase_add_loop_test(tests, final_with_an_empty_queue, 0, COUNT_OF(foreign));
	tcase_add_loop_test(tests, bounded, 0, COUNT_OF(foreign));
	tcase_add_loop_test(tests, tried_again_after_others_errors, 0, COUNT_OF(foreign));
	tcase_add_loop_test(tests, tried_again_after_an_error_that_is_gone, 0, COUNT_OF(foreign));
	tcase_add_loop_test(tests, a_path_learns_at_once, 0, 2);
	tcase_add_test(tests, a_path_learns_its_size_from_an_empty_queue);
	tcase_add_test(tests, a_path_learns_nothing_from_others_errors);
	tcase_add_test(tests, no_handle);
}
