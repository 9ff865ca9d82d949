/* What becomes of a listener whose worker the kernel does not let the CID choose. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "tests/fixtures/sockets_bed.h"
#include "tests/unit/suite.h"

static bool refuses;
static unsigned attached, detached;
static unsigned lines; /* of cid_group */
static char said[512]; /* by the last one */

/* The linker calls these two in place of those of that name (--wrap). */
__typeof__(setsockopt) __real_setsockopt, __wrap_setsockopt;
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	if (option == SO_ATTACH_REUSEPORT_CBPF && refuses) {
		errno = ENOMEM;
		return -1;
	}
	attached += option == SO_ATTACH_REUSEPORT_CBPF;
	if (__real_setsockopt(fd, level, option, value, len) < 0)
		return -1;
	detached += option == SO_DETACH_REUSEPORT_BPF;
	return 0;
}

void __wrap_log_fields(const struct log_what *what, const char *format, ...) __attribute__((format(printf, 2, 3)));
void __wrap_log_fields(const struct log_what *what, const char *format, ...)
{
	va_list args;

	if (strcmp(what->event, "cid_group") != 0)
		return;
	ck_assert_int_eq(what->level, LOG_LEVEL_WARNING);
	va_start(args, format);
	vsnprintf(said, sizeof said, format, args);
	va_end(args);
	lines++;
}

static void begin(void)
{
	refuses = false;
	attached = detached = lines = 0;
	set_up();
}

static void assert_said_of_listener(void)
{
	char address[ADDR_TEXT_OCTETS], expected[sizeof said];

	snprintf(expected, sizeof expected,
		 "%s: the kernel does not let the CID choose the worker: Cannot allocate memory; the source alone "
		 "does, so what one session sends from several addresses may be forwarded in another order",
		 addr_format(&bed.configured.listener.addr, address));
	ck_assert_str_eq(said, expected);
}

/* A listener has another number at another address. */
static void move(void)
{
	const uint16_t port = bed.configured.listener.addr.port;

	bed.configured.listener_uid = !bed.configured.listener_uid;
	ck_assert_int_eq(
		addr_parse_ip(&bed.configured.listener.addr, bed.configured.listener_uid ? "127.0.0.2" : "127.0.0.1"),
		0);
	bed.configured.listener.addr.port = port;
}

START_TEST(not_refused)
{
	apply();
	ck_assert_uint_eq(attached, 1);
	ck_assert_uint_eq(lines, 0);
}
END_TEST

/* Each reload tries again. What it cannot have is no news. */
START_TEST(told_once)
{
	refuses = true;
	for (int i = 0; i < 3; i++) {
		apply();
		ck_assert_uint_eq(lines, 1);
	}
	assert_said_of_listener();
	assert_serves("127.0.0.1", bed.configured.listener.addr.port, received);
	refuses = false;
	apply();
	ck_assert_uint_eq(attached, 1);
	ck_assert_uint_eq(lines, 1);
	refuses = true;
	apply();
	ck_assert_uint_eq(lines, 2);
}
END_TEST

START_TEST(told_of_other_sockets)
{
	refuses = true;
	apply();
	move();
	apply();
	ck_assert_uint_eq(lines, 2);
	assert_said_of_listener();
	/* The number had other sockets before. */
	move();
	apply();
	ck_assert_uint_eq(lines, 3);
	assert_said_of_listener();
}
END_TEST

/* The program that is there looks for CIDs of the length before. */
START_TEST(the_one_before_ends)
{
	apply();
	refuses = true;
	bed.configured.pool.layout.length++;
	apply();
	ck_assert_uint_eq(lines, 1);
	ck_assert_uint_eq(detached, 1);
}
END_TEST

START_TEST(not_asked_for_without_cids)
{
	refuses = true;
	bed.configured.pool.protocol = POOL_UDP;
	apply();
	ck_assert_uint_eq(lines, 0);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, begin, tear_down);
	tcase_add_test(tests, not_refused);
	tcase_add_test(tests, told_once);
	tcase_add_test(tests, told_of_other_sockets);
	tcase_add_test(tests, the_one_before_ends);
	tcase_add_test(tests, not_asked_for_without_cids);
}
