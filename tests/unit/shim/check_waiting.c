/* What happens to a call that receives when what comes is no node's. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "tests/fixtures/shim_sockets.h"

static void send_forged(void)
{
	const struct proxy2_ends ends = { device, service, 0, PROXY2_V1 };
	const struct proxy2_keys keys = { .keys = { { .id = 1 } }, .count = 1 };
	uint8_t datagram[PROXY2_MAX_OCTETS];
	const size_t octets = proxy2_write(datagram, &keys, PROXY2_UP, &ends);

	ck_assert_int_eq(send(node, datagram, octets, 0), (ssize_t)octets);
}

static void limit_waiting(int ms)
{
	const struct timeval limit = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	ck_assert_int_eq(setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
}

static ssize_t take_waiting(char *buffer, size_t size, int flags)
{
	struct iovec piece = { buffer, size };
	struct msghdr msg = { .msg_iov = &piece, .msg_iovlen = 1 };

	return datagram_receive(&shim, server, MARK, &msg, flags);
}

/* The socket blocks for ever. But whoever polled it was told that it would not. */
START_TEST(polled_socket_does_not_block)
{
	char buffer[16];

	limit_waiting(0);
	marks_note_polled(server);
	for (int flags = 0; flags <= MSG_PEEK; flags += MSG_PEEK) {
		send_forged();
		send_forged();
		ck_assert_int_eq(take_waiting(buffer, sizeof buffer, flags), -1);
		ck_assert_int_eq(errno, EAGAIN);
		/* It was taken from the queue. */
		struct pollfd polled = { .fd = server, .events = POLLIN };
		ck_assert_int_eq(poll(&polled, 1, 0), 0);
	}
	send_forged();
	send_up(node, &device, &service, "good");
	ck_assert_int_eq(take_waiting(buffer, sizeof buffer, 0), 4);
	ck_assert_uint_eq(shim.notice.dropped[PROXY2_TAG], 5);
}
END_TEST

/* Sends forged datagrams without end, or a good one at the end. */
struct sender {
	pthread_t thread;
	atomic_bool ends;
	int interval_ms;
	int good_after; /* forged ones; 0: never */
	pthread_t to;   /* who is interrupted, too; with `signals` */
	bool signals;
};

static void *run_sender(void *argument)
{
	struct sender *sender = argument;
	const struct timespec interval = { .tv_nsec = sender->interval_ms * 1000000L };

	for (int i = 1; !sender->ends && i < 10000; i++) {
		send_forged();
		nanosleep(&interval, NULL);
		if (i == sender->good_after)
			send_up(node, &device, &service, "good");
		if (sender->signals)
			pthread_kill(sender->to, SIGUSR1);
	}
	return NULL;
}

static void start_sender(struct sender *sender)
{
	sender->to = pthread_self();
	ck_assert_int_eq(pthread_create(&sender->thread, NULL, run_sender, sender), 0);
}

static void stop_sender(struct sender *sender)
{
	sender->ends = true;
	pthread_join(sender->thread, NULL);
}

START_TEST(timeout_is_of_the_whole_call)
{
	struct sender sender = { .interval_ms = 20 };
	char buffer[16];

	limit_waiting(200);
	start_sender(&sender);
	ck_assert_int_eq(take_waiting(buffer, sizeof buffer, 0), -1);
	ck_assert_int_eq(errno, EAGAIN);
	stop_sender(&sender);
}
END_TEST

START_TEST(waits_for_the_next_good_one)
{
	for (int limit_ms = 0; limit_ms <= 30000; limit_ms += 30000) {
		struct sender sender = { .interval_ms = 1, .good_after = 50 };
		char buffer[16];

		limit_waiting(limit_ms);
		start_sender(&sender);
		ck_assert_int_eq(take_waiting(buffer, sizeof buffer, 0), 4);
		stop_sender(&sender);
		while (take_waiting(buffer, sizeof buffer, MSG_DONTWAIT) >= 0)
			continue;
	}
}
END_TEST

static void ignore(int signal)
{
	(void)signal;
}

START_TEST(signal_interrupts)
{
	const struct sigaction action = { .sa_handler = ignore };

	sigaction(SIGUSR1, &action, NULL);
	for (int limit_ms = 0; limit_ms <= 30000; limit_ms += 30000) {
		struct sender sender = { .interval_ms = 10, .signals = true };
		char buffer[16];

		limit_waiting(limit_ms);
		start_sender(&sender);
		ck_assert_int_eq(take_waiting(buffer, sizeof buffer, 0), -1);
		ck_assert_int_eq(errno, EINTR);
		stop_sender(&sender);
	}
}
END_TEST

enum { FLOOD = 50000 };

/* Perhaps faster than they are looked at. One signal comes, and so many of them after it. */
static void *run_flood(void *argument)
{
	struct sender *sender = argument;

	for (int after = 0; !sender->ends && after < FLOOD; after += sender->signals) {
		const struct proxy2_ends ends = { device, service, 0, PROXY2_V1 };
		uint8_t datagram[PROXY2_MAX_OCTETS] = { 0 };
		proxy2_write(datagram, &(struct proxy2_keys){ .count = 1 }, PROXY2_UP, &ends);
		(void)!send(node, datagram, PROXY2_V4_OCTETS, 0);
		/* It is in the midst of its call. */
		if (!sender->signals && shim.notice.dropped[PROXY2_KEY] > (unsigned long)sender->good_after) {
			sender->signals = true;
			pthread_kill(sender->to, SIGUSR1);
		}
	}
	/* The queue may be full of them. */
	while (!sender->ends) {
		const struct timespec interval = { .tv_nsec = 10000000 };
		send_up(node, &device, &service, "good");
		nanosleep(&interval, NULL);
	}
	return NULL;
}

static ssize_t take_in_flood(int restart, int limit_ms)
{
	const struct sigaction action = { .sa_handler = ignore, .sa_flags = restart };
	struct sender flood = { .to = pthread_self(), .good_after = (int)shim.notice.dropped[PROXY2_KEY] + 100 };
	char buffer[16];

	sigaction(SIGUSR1, &action, NULL);
	limit_waiting(limit_ms);
	ck_assert_int_eq(pthread_create(&flood.thread, NULL, run_flood, &flood), 0);
	const ssize_t len = take_waiting(buffer, sizeof buffer, 0);
	const int err = errno;
	stop_sender(&flood);
	while (take_waiting(buffer, sizeof buffer, MSG_DONTWAIT) >= 0)
		continue;
	return len < 0 ? -err : len;
}

START_TEST(signal_interrupts_a_flood)
{
	sigset_t of_check;

	/* The library has handlers of its own. */
	sigfillset(&of_check);
	sigdelset(&of_check, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &of_check, NULL);
	ck_assert_int_eq(take_in_flood(0, 0), -EINTR);
	ck_assert_int_eq(take_in_flood(0, 30000), -EINTR);
	ck_assert_int_eq(take_in_flood(SA_RESTART, 30000), -EINTR);
	ck_assert_int_eq(take_in_flood(SA_RESTART, 0), 4);
}
END_TEST

/* Not held any longer than the call lasts. */
START_TEST(signal_mask_stays)
{
	sigset_t before, after;
	char buffer[16];

	sigemptyset(&before);
	sigaddset(&before, SIGUSR2);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	for (int i = 0; i < 3; i++) {
		send_forged();
		send_up(node, &device, &service, "good");
		ck_assert_int_eq(take_waiting(buffer, sizeof buffer, 0), 4);
	}
	limit_waiting(10);
	send_forged();
	ck_assert_int_eq(take_waiting(buffer, sizeof buffer, 0), -1);
	ck_assert_int_eq(errno, EAGAIN);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int signal = 1; signal <= SIGRTMAX; signal++)
		ck_assert_int_eq(sigismember(&after, signal), signal == SIGUSR2);
}
END_TEST

START_TEST(shut_down)
{
	struct sockaddr_in name;
	char buffer[16];
	struct iovec piece = { buffer, sizeof buffer };
	struct msghdr msg = { .msg_name = &name, .msg_namelen = sizeof name, .msg_iov = &piece, .msg_iovlen = 1 };

	limit_waiting(0);
	shutdown(server, SHUT_RD);
	ck_assert_int_eq(datagram_receive(&shim, server, MARK, &msg, 0), 0);
	ck_assert_uint_eq(msg.msg_namelen, 0);
	for (unsigned drop = 0; drop < NOTICE_DROPS; drop++)
		ck_assert_uint_eq(shim.notice.dropped[drop], 0);
}
END_TEST

/* A server that wakes its thread by closing the descriptor, or putting another one there, as OpenJDK does. */
START_TEST(another_file_in_the_meantime)
{
	int pair[2];
	char buffer[16];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	send_forged();
	marks_clear((unsigned)server, (unsigned)server);
	ck_assert_int_eq(take_waiting(buffer, sizeof buffer, 0), -1);
	ck_assert_int_eq(errno, EBADF);
	ck_assert_int_eq(dup2(pair[0], server), server);
	close(pair[1]);
	ck_assert_int_eq(take_waiting(buffer, sizeof buffer, 0), 0);
	close(pair[0]);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 2 * WAIT_S);
	tcase_add_test(tests, polled_socket_does_not_block);
	tcase_add_test(tests, timeout_is_of_the_whole_call);
	tcase_add_test(tests, waits_for_the_next_good_one);
	tcase_add_test(tests, signal_interrupts);
	tcase_add_test(tests, signal_interrupts_a_flood);
	tcase_add_test(tests, signal_mask_stays);
	tcase_add_test(tests, shut_down);
	tcase_add_test(tests, another_file_in_the_meantime);
}
