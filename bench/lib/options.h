/* Values of command line options. A bad one is refused on stderr, in one line that names what is accepted. */
#ifndef CIDLB_BENCH_LIB_OPTIONS_H
#define CIDLB_BENCH_LIB_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"

/* What keeps a program from starting: an argument that is no option, an option that is missing, or several that do not
 * go together. -EINVAL. */
int option_left_over(const char *argument);
int option_missing(const char *option);
int option_refuse(const char *sentence);

/* A whole number of min..max. -EINVAL: anything else. */
int option_number(uint64_t *out, const char *option, const char *text, uint64_t min, uint64_t max);

/* The same, of what fits into 32 bits. */
int option_number32(uint32_t *out, const char *option, const char *text, uint32_t min, uint32_t max);

/* A decimal number of min..max. -EINVAL: anything else. */
int option_decimal(double *out, const char *option, const char *text, double min, double max);

/* Decimal seconds, at least 1 ms; out is in milliseconds. -EINVAL: anything else. */
int option_seconds(uint64_t *out_ms, const char *option, const char *text);

/* An address with a port. -EINVAL: anything else. */
int option_addr(struct addr *out, const char *option, const char *text);

/* Hex digits of 1..size octets. -EINVAL: anything else. Nothing is printed then, since it may be a key. */
int option_hex(uint8_t *out, size_t size, size_t *len, const char *text);

#endif
