/* What the shim tells the operator: lines on standard error. Of each kind of drop the first at once, then one a minute
 * at most. */
#ifndef CIDLB_SHIM_NOTICE_H
#define CIDLB_SHIM_NOTICE_H

#include <stdatomic.h>

#include "common/addr.h"
#include "common/proxy2.h"

/* Why a datagram did not reach the server: those of proxy2, and these. */
enum notice_drop {
	NOTICE_FOREIGN = PROXY2_RESULTS, /* its sender is no node */
	NOTICE_FAMILY,                   /* an IPv6 device at an IPv4 socket */
	NOTICE_DROPS,
};

struct notice {
	atomic_ulong dropped[NOTICE_DROPS];
	atomic_long said_s[NOTICE_DROPS]; /* monotonic, of the last line; 0: none */
};

/* One line; errno stays. */
void notice_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Counts a dropped datagram that came from `outer`, and says so when it is time; errno stays. */
void notice_drop(struct notice *notice, unsigned drop, const struct addr *outer);

#endif
