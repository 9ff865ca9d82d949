/* The keys of mode tunnel, as a server has them. */
#ifndef CIDLB_BENCH_LIB_TUNNEL_KEYS_H
#define CIDLB_BENCH_LIB_TUNNEL_KEYS_H

#include "common/proxy2.h"

/* Reads a file as of CIDLB_SHIM_KEY: a line ID:HEX per key. Returns 0 or -errno. -EINVAL: its content is another. */
int tunnel_keys_read(struct proxy2_keys *out, const char *file);

/* The same, as the value of option --tunnel (options.h). */
int tunnel_keys_option(struct proxy2_keys *out, const char *file);

#endif
