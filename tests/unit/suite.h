/* What each file of unit tests defines: its tests, added to the case that check_main.c gives it and then runs. */
#ifndef CIDLB_SUITE_H
#define CIDLB_SUITE_H

#include <check.h>

void suite(TCase *tests);

/* One more case of the same suite, for tests that want another fixture. */
TCase *suite_case(const char *name);

#endif
