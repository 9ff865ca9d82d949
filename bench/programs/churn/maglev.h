/* Maglev hashing: D. Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016,
 * section 3.4, with the lesser table of section 5.3 (65,537), which Katran and Envoy have too. Pure.
 *
 * Each server prefers the slots in an order of its own, (offset + j * skip) mod 65537, from two hashes of its name. The
 * servers take turns. Each takes the first slot in its order that is free. The paper leaves the hashes open: here they
 * are SipHash-2-4 with two keys. With weights a server gets turns in proportion ("altering the relative frequency of
 * the backends' turns"), as in Envoy.
 */
#ifndef CIDLB_BENCH_CHURN_MAGLEV_H
#define CIDLB_BENCH_CHURN_MAGLEV_H

#include "bench/programs/churn/member.h"

enum { MAGLEV_SLOTS = 65537 };

extern const struct table maglev_table;

#endif
