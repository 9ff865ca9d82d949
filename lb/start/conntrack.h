/* Whether the kernel's connection tracking has room for what the pools may carry. Once its table is full, it drops
 * datagrams. */
#ifndef CIDLB_START_CONNTRACK_H
#define CIDLB_START_CONNTRACK_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"

#define CONNTRACK_DIRECTORY "/proc/sys/net/netfilter"

struct conntrack {
	uint64_t max, count; /* connections */
};

/* Reads the files of `directory`. False: there is no connection tracking. */
bool conntrack_read(struct conntrack *out, const char *directory);

/* The connections that all pools may need. The datagrams of a device are tracked twice: on their way in, and with an
 * endpoint's address on their way to the backend. */
uint64_t conntrack_needed(const struct conf *conf);

/* Warns in the log if anything is tracked and the table is too small. Called at start. */
void conntrack_check(const struct conf *conf);

#endif
