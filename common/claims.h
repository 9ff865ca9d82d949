/* Who owns which server id in one pool (design, section 6). Pure: what the backends claim in, ownership out.
 *
 * An id belongs to the backend that the configuration gives it to, until it moves: that happens when its present owner
 * is not up, is in maint, or no longer claims it, and exactly one backend that is up (and not in maint) claims it. A
 * backend that claims nothing claims its configured id. Two claims at once change nothing. No id ever has two owners.
 * Of a backend that nothing was heard of yet, as after a start, it is not known what it claims: it takes no id, and
 * loses none.
 *
 * An id of no configuration belongs to who alone claims it, and stays with that backend when it claims it no more or is
 * down, since its sessions go on. A backend that leaves the pool loses its ids: to whom they are configured for, else
 * to who alone claims them.
 *
 * Owner: the control thread.
 */
#ifndef CIDLB_CLAIMS_H
#define CIDLB_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cid.h"

#define CLAIMS_NOBODY UINT16_MAX

struct claims_backend {
	uint16_t uid;
	bool serves;  /* up and not in maint */
	bool unheard; /* nothing is known of it yet, but that it is not in maint; serves counts for nothing then */
	bool has_id;  /* by configuration */
	struct server_id id;
	const struct server_id *claims;
	size_t claim_count; /* 0: its configured id; at most STEERING_IDS */
};

struct claims_entry {
	struct server_id id;
	uint16_t owner; /* uid; CLAIMS_NOBODY: contested from the first, or since its owner left the pool */
	bool contested; /* several claim it that serve */
	uint64_t heard; /* the last round in which somebody claimed it or was configured for it */
};

/* Sorted by id. All zero is an empty one. */
struct claims {
	struct claims_entry *entries;
	size_t count;   /* <= backends * (1 + STEERING_IDS) */
	uint64_t round; /* settlings so far */
};

enum claims_event {
	CLAIMS_MOVED,     /* from `a` to `b`; `a` is CLAIMS_NOBODY if it was nobody's */
	CLAIMS_CONTESTED, /* by `a` and `b`, maybe more; if its owner is one of them, that is `a` */
	CLAIMS_SETTLED,   /* contested no more; `a` owns it, or CLAIMS_NOBODY */
};

typedef void (*claims_report)(void *ctx, enum claims_event event, const struct server_id *id, uint16_t a, uint16_t b);

/* Takes in what the backends of the pool say now: distinct uids, distinct configured ids, in any order. Of an id's
 * changes each is reported once, a move first; that a new id goes to its configured backend, or is forgotten with its
 * backend, is no news. Ids that a backend claims no more are kept while it has room: STEERING_IDS less what it claims
 * now; the ones unheard of longest go first.
 *
 * Returns true if any id has another owner now. *failed (may be NULL): memory ran out, nothing has changed or was
 * reported. */
bool claims_settle(struct claims *claims, const struct claims_backend *backends, size_t count, claims_report report,
		   void *ctx, bool *failed);

/* Before the first settling: `owner` has the id, as it had before a restart. It is an owner like any other. -EEXIST:
 * the id has one already; -ENOMEM. */
int claims_seed(struct claims *claims, const struct server_id *id, uint16_t owner);

/* The owner's uid, or CLAIMS_NOBODY. */
uint16_t claims_owner(const struct claims *claims, const struct server_id *id);

/* Leaves an empty one. */
void claims_free(struct claims *claims);

#endif
