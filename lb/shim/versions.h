/* Which version of the header each node reads (common/proxy2.h). A node is an entry of CIDLB_SHIM_NODES. That may be an
 * address of several nodes, old and new ones. So version 2 is written to it only if
 *
 *   it was heard in version 2, or with an offer of it,
 *   and not within VERSIONS_PLAIN_S before that in plain version 1, as a node that knows no other writes.
 *
 * Plain version 1 counts at once: a node may have been replaced by an older one. All zero: nothing was heard. Any
 * thread. Times are monotonic seconds.
 */
#ifndef CIDLB_SHIM_VERSIONS_H
#define CIDLB_SHIM_VERSIONS_H

#include <stdatomic.h>
#include <stdint.h>

#include "common/proxy2.h"
#include "shim/settings.h"

enum { VERSIONS_PLAIN_S = 60 };

struct versions {
	struct version_heard {
		_Atomic uint32_t plain_s, v2_s; /* 0: never */
	} heard[SETTINGS_NODES];
};

/* A datagram of the node with this index came in that version. */
void versions_hear(struct versions *versions, int node, enum proxy2_version version, uint32_t now_s);

/* What to write to it: PROXY2_V1 or PROXY2_V2. */
enum proxy2_version versions_of(const struct versions *versions, int node);

#endif
