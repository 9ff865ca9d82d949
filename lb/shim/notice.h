/* What the shim tells the operator on standard error. The first drop of each kind is reported at once, further ones
 * once a minute at most. */
#ifndef CIDLB_SHIM_NOTICE_H
#define CIDLB_SHIM_NOTICE_H

#include <stdatomic.h>

#include "common/addr.h"
#include "common/proxy2.h"

/* Why a datagram did not reach the server: the results of proxy2, and these. */
enum notice_drop {
	NOTICE_FOREIGN = PROXY2_RESULTS, /* its sender is not a node */
	NOTICE_FAMILY,                   /* an IPv6 device at an IPv4 socket */
	NOTICE_DROPS,
};

struct notice {
	atomic_ulong dropped[NOTICE_DROPS];
	atomic_long said_s[NOTICE_DROPS]; /* monotonic, of the last line; 0: none */
};

/* Writes one line. errno stays as it is. */
void notice_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Counts a dropped datagram that came from `outer`, and reports it when it is time. errno stays as it is. */
void notice_drop(struct notice *notice, unsigned drop, const struct addr *outer);

#endif
