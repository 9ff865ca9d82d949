#include "base/spelling.h"

#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

START_TEST(spelling)
{
	static const struct {
		const char *a, *b;
		size_t distance;
	} cases[] = { { "", "", 0 },
		      { "a", "", 1 },
		      { "status", "status", 0 },
		      { "stauts", "status", 1 },
		      { "satus", "status", 1 },
		      { "statuss", "status", 1 },
		      { "drian", "drain", 1 },
		      { "abcd", "badc", 2 },
		      { "kitten", "sitting", 3 },
		      { "0123456789abcdef01234567", "0123456789abcdef01234567", 0 },
		      { "0123456789abcdef012345678", "0123456789abcdef012345678", SPELLING_OCTETS } };

	for (int i = 0; i < COUNT_OF(cases); i++) {
		ck_assert_uint_eq(spelling_distance(cases[i].a, cases[i].b), cases[i].distance);
		ck_assert_uint_eq(spelling_distance(cases[i].b, cases[i].a), cases[i].distance);
	}
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, spelling);
}
