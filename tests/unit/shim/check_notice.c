/* Lines of the shim, which go where the server's own go. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim/notice.h"
#include "tests/unit/suite.h"

/* stderr is a pipe. Returns the end to read. */
static int pipe_begin(void)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_ge(dup2(fds[1], STDERR_FILENO), 0);
	close(fds[1]);
	notice_begin();
	return fds[0];
}

START_TEST(says)
{
	const int reads = pipe_begin();
	char text[256] = "";

	notice_say("a %s", "word");
	ck_assert_int_gt(read(reads, text, sizeof text - 1), 0);
	ck_assert_str_eq(text, "libcidlb-shim: a word\n");
}
END_TEST

/* The server would stand still until somebody reads. */
START_TEST(nobody_reads)
{
	static char full[1 << 20];
	const int reads = pipe_begin(), flags = fcntl(STDERR_FILENO, F_GETFL);

	ck_assert_int_eq(fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK), 0);
	while (write(STDERR_FILENO, "x", 1) == 1)
		;
	ck_assert_int_eq(fcntl(STDERR_FILENO, F_SETFL, flags), 0);
	notice_say("lost");
	const ssize_t len = read(reads, full, sizeof full - 1);
	ck_assert_int_gt(len, 0);
	notice_say("said");
	ck_assert_int_gt(read(reads, full, sizeof full - 1), 0);
	ck_assert_ptr_null(strstr(full, "lost"));
	ck_assert_ptr_nonnull(strstr(full, "libcidlb-shim: said\n"));
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, says);
	tcase_add_test(tests, nobody_reads);
}
