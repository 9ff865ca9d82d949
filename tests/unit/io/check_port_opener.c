/* A thread that binds ports for others. */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/port_opener.h"
#include "tests/unit/suite.h"

enum { ASKING = 4, EACH = 50, FIRST = 22000 };

static struct port_opener *opener;
static struct port_sockets *ports;
static pid_t asked_by; /* who may not bind; 0: anybody may */

/* This stands in for the C library's. */
int bind(int fd, const struct sockaddr *name, socklen_t len)
{
	if (asked_by == gettid()) {
		errno = ENOSYS;
		return -1;
	}
	return (int)syscall(SYS_bind, fd, name, len);
}

static void set_up(void)
{
	struct addr addr;

	asked_by = 0;
	ck_assert_int_eq(addr_parse_ip(&addr, "127.0.0.77"), 0);
	opener = port_opener_new();
	ports = port_sockets_new(&addr, FIRST, FIRST + ASKING * EACH);
	ck_assert(opener && ports);
}

static void tear_down(void)
{
	port_opener_free(opener);
	port_sockets_drop(ports);
}

START_TEST(before_it_runs)
{
	const int fd = port_opener_bind(opener, ports, FIRST);

	ck_assert_int_ge(fd, 0);
	close(fd);
}
END_TEST

START_TEST(in_another_thread)
{
	int fd;

	ck_assert_int_eq(port_opener_start(opener), 0);
	asked_by = gettid();
	ck_assert_int_eq(port_sockets_bind(ports, FIRST), -ENOSYS);
	fd = port_opener_bind(opener, ports, FIRST);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(port_opener_bind(opener, ports, FIRST), -EADDRINUSE);
	close(fd);
}
END_TEST

/* Asks for ports of its own, and for one that all want. */
static void *ask(void *arg)
{
	const uint16_t first = (uint16_t)(FIRST + 1 + *(const int *)arg * EACH);
	intptr_t shared = 0;

	for (uint16_t port = first; port < first + EACH; port++) {
		const int fd = port_opener_bind(opener, ports, port);

		if (fd < 0 || port_sockets_keep(ports, port, fd) != fd)
			return (void *)-1;
	}
	const int fd = port_opener_bind(opener, ports, FIRST);
	if (fd >= 0 && port_sockets_keep(ports, FIRST, fd) == fd)
		shared = 1;
	else if (fd != -EADDRINUSE)
		return (void *)-1;
	return (void *)shared;
}

START_TEST(many_ask_at_once)
{
	pthread_t threads[ASKING];
	int numbers[ASKING];
	intptr_t shared = 0;

	ck_assert_int_eq(port_opener_start(opener), 0);
	for (int i = 0; i < ASKING; i++) {
		numbers[i] = i;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, ask, &numbers[i]), 0);
	}
	for (int i = 0; i < ASKING; i++) {
		void *end;

		ck_assert_int_eq(pthread_join(threads[i], &end), 0);
		ck_assert_int_ge((intptr_t)end, 0);
		shared += (intptr_t)end;
	}
	ck_assert_int_eq(shared, 1);
	for (uint16_t port = FIRST; port <= FIRST + ASKING * EACH; port++)
		ck_assert_int_ge(port_sockets_get(ports, port), 0);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, before_it_runs);
	tcase_add_test(tests, in_another_thread);
	tcase_add_test(tests, many_ask_at_once);
}
