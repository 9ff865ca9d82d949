/* The cases, in the order of the data path. */
#ifndef CIDLB_BENCH_CORE_GROUPS_H
#define CIDLB_BENCH_CORE_GROUPS_H

#include "bench/programs/core/measure.h"

extern const struct core_group core_walk;    /* empty/ walk/ open/ */
extern const struct core_group core_lookup;  /* lookup/ build/ */
extern const struct core_group core_route;   /* route/ */
extern const struct core_group core_garbage; /* garbage/ */
extern const struct core_group core_flow;    /* flow/ */
extern const struct core_group core_header;  /* header/ */

#endif
