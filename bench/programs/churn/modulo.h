/* hash mod n, with the n servers in the order of the configuration. This is what "hash KEY" of nginx does without
 * "consistent" (ngx_stream_upstream_hash_module), and what a table of equal buckets does. Pure.
 *
 * The hash has 20 bits here (of nginx: 15). With weights a server counts as often as its weight, all divided by their
 * greatest common divisor.
 */
#ifndef CIDLB_BENCH_CHURN_MODULO_H
#define CIDLB_BENCH_CHURN_MODULO_H

#include "bench/programs/churn/member.h"

enum { MODULO_BITS = 20, MODULO_SLOTS = 1 << MODULO_BITS };

extern const struct table modulo_table;

#endif
