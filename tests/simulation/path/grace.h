/* Replaces liburcu's callback thread, whose pace would depend on the machine. Grace periods end between two steps. */
#ifndef CIDLB_TESTS_SIMULATION_PATH_GRACE_H
#define CIDLB_TESTS_SIMULATION_PATH_GRACE_H

void grace_end(void);

#endif
