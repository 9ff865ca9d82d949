/* Sessions without a CID that devices resume: where a ClientHello leads that offers one, and where the session is then.
 *
 * Session ids and tickets (common/resume.h) lead to the server that gave them out, from whatever address. A session
 * that was resumed at another server than the hash of its address leads to is an exception. So its address is kept,
 * too: where nothing else is known of an address, as in the modes without flows or after a restart, it says where the
 * session is.
 *
 * All are entries of one table of each pool (common/learned.h). An entry is made when a server has shown that the
 * device has the keys of the session. A ClientHello never makes one.
 */
#ifndef CIDLB_PATH_RESUMED_H
#define CIDLB_PATH_RESUMED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/learned.h"
#include "common/resume.h"
#include "common/snapshot.h"

struct table_pool; /* table.h */

/* Octets of an entry's name in the table, where CIDs have theirs: so the two kinds are told apart, and counted. */
enum { RESUMED_SESSION_OCTETS = 8, RESUMED_ADDRESS_OCTETS = 9 };

/* The uid of the backend that gave out what the ClientHello in the datagram offers to resume, or ROUTE_NO_HINT. */
uint16_t resumed_offer(const struct table_pool *settings, const struct snapshot_pool *pool, const uint8_t *data,
		       size_t len);

/* True: the pool has sessions at other servers than the hash of their addresses leads to. */
bool resumed_has_addresses(const struct table_pool *settings);

/* The uid of the backend that has the session of this address, if it is one of these, or ROUTE_NO_HINT. The first
 * begins the look-up. */
struct learned_place resumed_look(const struct table_pool *settings, const struct addr *source);
uint16_t resumed_find(const struct table_pool *settings, const struct snapshot_pool *pool,
		      const struct learned_place *place);

/* A session without a CID that its server has shown to be the device's. */
struct resumed_session {
	const struct table_pool *settings;
	const struct snapshot_pool *pool;
	uint16_t backend; /* uid */
	const struct addr *source;
	struct resume_names given; /* by the server in this handshake */
};

/* A server that drains gives out nothing that would lead new handshakes to it. */
void resumed_learn(const struct resumed_session *session);

#endif
