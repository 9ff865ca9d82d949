/* simulation --trace: prints what happens, one line each. */
#ifndef CIDLB_TESTS_SIMULATION_PATH_TRACE_H
#define CIDLB_TESTS_SIMULATION_PATH_TRACE_H

#include "tests/simulation/path/network.h"

struct world;

void trace_datagram(const struct world *world, const struct datagram *datagram);
void trace_event(const struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
