/* Random frames. */
#ifndef CIDLB_TESTS_ORACLE_FAST_MAKE_H
#define CIDLB_TESTS_ORACLE_FAST_MAKE_H

#include "tests/oracle/fast/judge.h"

/* A frame of a device for a pool, with records of all types, in many ways wrong. */
void make_up(struct bed *bed, struct up *up);

/* The same with this payload. */
void make_up_of(struct bed *bed, struct up *up, enum pool_kind pool, const uint8_t *payload, size_t len);

/* A frame of a backend through the tunnel. */
void make_down(struct bed *bed, struct down *down);

/* The same with this as header and payload. */
void make_down_of(struct bed *bed, struct down *down, enum pool_kind pool, const uint8_t *payload, size_t len);

#endif
