/* Who owns which server id in one pool (design, section 6). Pure: what the backends claim in, ownership out.
 *
 * An id belongs to the backend that the configuration gives it to, until it moves: that happens when its present owner is not up, is in
 * maint, or no longer claims it, and exactly one backend that is up (and not in maint) claims it. A backend that claims nothing claims its
 * configured id. Two claims at once change nothing. No id ever has two owners.
 *
 * Owner: the control thread.
 */
#ifndef CIDLB_CLAIMS_H
#define CIDLB_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cid.h"

struct claims_backend {
	uint16_t uid;
	bool serves; /* up and not in maint */
	bool has_id; /* by configuration */
	struct server_id id;
	const struct server_id *claims;
	size_t claim_count; /* 0: its configured id */
};

struct claims_entry {
	struct server_id id;
	uint16_t owner; /* uid */
	bool contested; /* several claim it that serve */
};

/* Sorted by id. */
struct claims {
	struct claims_entry *entries;
	size_t count;
};

enum claims_event {
	CLAIMS_MOVED,     /* from `a` to `b`; CLAIMS_NOBODY for an id that was new */
	CLAIMS_CONTESTED, /* by `a` and `b`, maybe more */
	CLAIMS_SETTLED,   /* contested no more; owned by `a` */
};

#define CLAIMS_NOBODY UINT16_MAX

typedef void (*claims_report)(void *ctx, enum claims_event event, const struct server_id *id, uint16_t a, uint16_t b);

/* Takes in what the backends of the pool say now: distinct uids, distinct configured ids. Entries of ids that nobody is configured for or
 * claims any more are kept while their owner is among the backends. Returns true if an owner changed; nothing has changed where memory ran
 * out (*failed, may be NULL). */
bool claims_settle(struct claims *claims, const struct claims_backend *backends, size_t count, claims_report report, void *ctx,
		   bool *failed);

/* The owner's uid, or CLAIMS_NOBODY. */
uint16_t claims_owner(const struct claims *claims, const struct server_id *id);

/* Leaves an empty one. */
void claims_free(struct claims *claims);

#endif
