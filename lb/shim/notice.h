/* What the shim tells the operator on standard error. The first drop of each kind is reported at once, further ones
 * once a minute at most. Of all lines together there are at most NOTICE_LINES a minute. Any thread may call all
 * functions. errno stays as it is. */
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

enum { NOTICE_LINES = 60, NOTICE_QUIET_S = 60 };

struct notice {
	atomic_ulong dropped[NOTICE_DROPS];
	atomic_long said_s[NOTICE_DROPS]; /* monotonic, of the last line; 0: none */
	atomic_long not_direct_s;         /* likewise, of the last line about an answer that went to the node */
	atomic_long looked_s;             /* likewise, of the last look at what the kernel dropped */
	atomic_uint kernel_dropped;       /* the number in the last line about it */
};

/* Remembers what standard error is, while the process starts. */
void notice_begin(void);

/* Writes one line, unless descriptor 2 has meanwhile become something that is no log: a socket that it was not at the
 * start, or a file that is not appended to. */
void notice_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Counts a dropped datagram that came from `outer`, and reports it when it is time. */
void notice_drop(struct notice *notice, unsigned drop, const struct addr *outer);

/* Reports that an answer could not leave from the service address, when it is time. `error`: errno. */
void notice_not_direct(struct notice *notice, const struct addr *service, int error);

/* Reports what the kernel dropped before it reached this tunnelled socket, when it is time and there is something new:
 * what the filter kept out, and what found the receive buffer full. The kernel has one number for both. */
void notice_kernel_drops(struct notice *notice, int fd);

#endif
