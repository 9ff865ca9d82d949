/* The main() of every file of unit tests. CHECK_NAME is FOLDER/NAME of that file. */
#include "tests/unit/suite.h"

#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static Suite *whole;

TCase *suite_case(const char *name)
{
	TCase *tests = tcase_create(name);

	suite_add_tcase(whole, tests);
	return tests;
}

/* With loopback alone: suites that run at the same time do not take ports from each other. Who may not have one stays
 * where he is. */
static void enter_own_network(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	if (unshare(CLONE_NEWNET) != 0)
		return;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) != 0)
		abort();
	close(fd);
}

int main(void)
{
	SRunner *runner;
	int failed;

	enter_own_network();
	whole = suite_create(CHECK_NAME);
	suite(suite_case(CHECK_NAME));
	runner = srunner_create(whole);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
