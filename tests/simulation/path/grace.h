/* What stands in for liburcu's callback thread, whose pace would be the machine's: grace periods that end between two
 * steps. */
#ifndef CIDLB_TESTS_SIMULATION_PATH_GRACE_H
#define CIDLB_TESTS_SIMULATION_PATH_GRACE_H

void grace_end(void);

#endif
