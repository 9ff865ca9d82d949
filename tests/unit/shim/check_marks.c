#include <errno.h>
#include <netinet/in.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/marks.h"
#include "tests/unit/suite.h"

enum { MARK = 3 };

static int number; /* a UDP socket that is marked */

static void set_up(void)
{
	marks_own();
	number = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_ge(number, 0);
	ck_assert(marks_set(number, MARK));
}

static void tear_down(void)
{
	marks_clear(0, MARKS_DESCRIPTORS);
	close(number);
}

START_TEST(mark_goes_with_its_socket)
{
	int pair[2];

	ck_assert_uint_eq(marks_get(number), MARK);
	/* Closed where the shim does not see it. */
	ck_assert_int_eq(close(number), 0);
	errno = 7;
	ck_assert_uint_eq(marks_get(number), 0);
	ck_assert_int_eq(errno, 7);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_int_eq(pair[0], number);
	ck_assert_uint_eq(marks_get(number), 0);
	close(pair[1]);
	/* Another UDP socket neither. */
	close(number);
	ck_assert_int_eq(socket(AF_INET, SOCK_DGRAM, 0), number);
	ck_assert_uint_eq(marks_get(number), 0);
	ck_assert(marks_set(number, MARK + 1));
	ck_assert_uint_eq(marks_get(number), MARK + 1);
}
END_TEST

START_TEST(copies)
{
	const int copy = dup(number);

	ck_assert(marks_copy(number, copy));
	ck_assert_uint_eq(marks_get(copy), MARK);
	marks_clear((unsigned)number, (unsigned)number);
	ck_assert_uint_eq(marks_get(number), 0);
	ck_assert_uint_eq(marks_get(copy), MARK);
	ck_assert(!marks_copy(copy, MARKS_DESCRIPTORS));
	ck_assert(marks_copy(number, MARKS_DESCRIPTORS));
	/* A copy of what has no mark takes it away. */
	ck_assert_int_eq(dup2(number, copy), copy);
	ck_assert(marks_copy(number, copy));
	ck_assert_uint_eq(marks_get(copy), 0);
	close(copy);
}
END_TEST

START_TEST(out_of_range)
{
	ck_assert_uint_eq(marks_get(-1), 0);
	ck_assert_uint_eq(marks_get(MARKS_DESCRIPTORS), 0);
	ck_assert(!marks_set(-1, MARK));
	ck_assert(!marks_set(MARKS_DESCRIPTORS, MARK));
	marks_note_polled(-1);
	marks_note_polled(MARKS_DESCRIPTORS);
	ck_assert(!marks_is_polled(-1));
	ck_assert(!marks_is_polled(MARKS_DESCRIPTORS));
}
END_TEST

START_TEST(polled)
{
	ck_assert(!marks_is_polled(number));
	marks_note_polled(number);
	ck_assert(marks_is_polled(number));
	ck_assert_uint_eq(marks_get(number), MARK | MARK_POLLED);
	/* Before it is bound. It does not make a tunnelled one of it. */
	const int early = socket(AF_INET, SOCK_DGRAM, 0);
	marks_note_polled(early);
	ck_assert_uint_eq(marks_get(early), 0);
	ck_assert(marks_set(early, MARK));
	ck_assert_uint_eq(marks_get(early), MARK | MARK_POLLED);
	marks_clear((unsigned)early, (unsigned)early);
	ck_assert(!marks_is_polled(early));
	close(early);
}
END_TEST

/* The status of a child that a copy of the memory, or the memory itself, was given to. */
static int ended(pid_t child)
{
	int status;

	ck_assert_int_gt(child, 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return status;
}

START_TEST(children)
{
	/* pthread_atfork() does not see this one. */
	pid_t child = _Fork();
	if (child == 0) {
		marks_clear((unsigned)number, (unsigned)number);
		_exit(marks_get(number));
	}
	ck_assert_int_eq(ended(child), 0);
	ck_assert_uint_eq(marks_get(number), MARK);
	child = vfork();
	if (child == 0) {
		marks_clear((unsigned)number, (unsigned)number);
		_exit(0);
	}
	ck_assert_int_eq(ended(child), 0);
	ck_assert_uint_eq(marks_get(number), MARK);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, mark_goes_with_its_socket);
	tcase_add_test(tests, copies);
	tcase_add_test(tests, out_of_range);
	tcase_add_test(tests, polled);
	tcase_add_test(tests, children);
}
