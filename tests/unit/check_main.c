/* The main() of every file of unit tests. CHECK_NAME is FOLDER/NAME of that file. */
#include "tests/unit/suite.h"

#include <stdlib.h>

static Suite *whole;

TCase *suite_case(const char *name)
{
	TCase *tests = tcase_create(name);

	suite_add_tcase(whole, tests);
	return tests;
}

int main(void)
{
	SRunner *runner;
	int failed;

	whole = suite_create(CHECK_NAME);
	suite(suite_case(CHECK_NAME));
	runner = srunner_create(whole);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
