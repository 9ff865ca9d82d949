/* Whether the program ever forwards by a table that is being written. */
#ifndef CIDLB_TESTS_ORACLE_FAST_RACE_H
#define CIDLB_TESTS_ORACLE_FAST_RACE_H

#include "tests/oracle/fast/bed.h"

/* 0: never, within so many seconds. `publishes` false is the control: the table that is read is written over. */
int race_run(struct bed *bed, unsigned seconds, bool publishes);

#endif
