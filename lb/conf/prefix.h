/* Address prefixes as a configuration writes them. Pure. */
#ifndef CIDLB_CONF_PREFIX_H
#define CIDLB_CONF_PREFIX_H

#include <stdbool.h>

#include "conf/conf.h"

/* 32 or 128. */
unsigned prefix_family_bits(const struct addr *a);

/* Returns the first address of the prefix of `bits` bits that `a` lies in. Its port is 0. */
struct addr prefix_first(const struct addr *a, unsigned bits);

bool prefix_contains(const struct conf_prefix *prefix, const struct addr *a);

/* Reads ADDRESS/BITS, with or without host bits. Returns 0, or -EINVAL: it is something else. */
int prefix_parse(struct conf_prefix *out, const char *text);

/* Reads 1..max in decimal digits and moves *text behind them. Returns 0, or -EINVAL: it is something else. */
int prefix_parse_number(const char **text, unsigned max, unsigned *out);

#endif
