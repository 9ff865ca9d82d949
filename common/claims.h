/* Who owns which server id in one pool. Pure: it takes the claims of the backends and gives the owners.
 *
 * A backend may claim its configured id, and those that its entry of the configuration lets it claim. A claim of any
 * other id counts as if it had not been made. A backend that makes no claim that counts claims its configured id.
 *
 * An id belongs to the backend that the configuration gives it to, until it moves. It moves when its owner is not up,
 * is in maint or no longer claims it, and exactly one backend that is up and not in maint claims it. The backend that
 * the configuration gives it to gets it back as soon as it is up, not in maint, and claims it, whoever else does. So
 * nobody can keep another's id for good. Otherwise two claims at once change nothing. No id ever has two owners. What a
 * backend claims is unknown until it has been heard, as after a start. Until then it takes no id, and loses none to
 * others than the configured backend.
 *
 * An id that no configuration names belongs to the only backend that claims it. That backend keeps the id when it stops
 * claiming it or goes down, because its sessions go on. A backend that leaves the pool loses its ids. They go to the
 * backend they are configured for, else to the only one that claims them.
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
	bool unheard; /* not heard yet; known not to be in maint; `serves` is ignored */
	bool has_id;  /* by configuration */
	struct server_id id;
	const struct server_id *claims;
	size_t claim_count; /* at most STEERING_IDS */
	bool may_claim_any; /* else its configured id and those in may_claim */
	const struct server_id *may_claim;
	size_t may_claim_count; /* in the order of claims_id_compare() */
};

struct claims_entry {
	struct server_id id;
	uint16_t owner; /* uid; CLAIMS_NOBODY: contested from the start, or since its owner left the pool */
	bool contested; /* several serving backends claim it */
	uint64_t heard; /* the last round in which a backend claimed it or was configured for it */
};

/* Sorted by id. All zero is an empty set. */
struct claims {
	struct claims_entry *entries;
	size_t count;   /* <= backends * (1 + STEERING_IDS) */
	uint64_t round; /* calls of claims_settle() so far */
};

enum claims_event {
	CLAIMS_MOVED,     /* from `a` to `b`; `a` is CLAIMS_NOBODY if it had no owner */
	CLAIMS_CONTESTED, /* by `a`, `b` and maybe more; `a` is its owner if that is among them */
	CLAIMS_SETTLED,   /* no longer contested; `a` owns it, or CLAIMS_NOBODY */
};

typedef void (*claims_report)(void *ctx, enum claims_event event, const struct server_id *id, uint16_t a, uint16_t b);

/* Orders ids by length, then by octets, as qsort() and bsearch() want it. */
int claims_id_compare(const void *left, const void *right);

/* Whether a claim of this id by this backend counts. */
bool claims_may(const struct claims_backend *backend, const struct server_id *id);

/* Takes what the backends of the pool say now, in any order. Their uids are distinct, and so are their configured ids.
 * Each change of an id is reported once, a move first. It is not reported that a new id goes to its configured backend,
 * or is forgotten with its backend. A backend keeps ids that it no longer claims while it has room: STEERING_IDS less
 * the number of its claims that count now. The ids not heard of for longest go first.
 *
 * Returns true if any id has another owner now. *failed (may be NULL) says whether memory ran out; then nothing has
 * changed and nothing was reported. */
bool claims_settle(struct claims *claims, const struct claims_backend *backends, size_t count, claims_report report,
		   void *ctx, bool *failed);

/* Only before the first settling: gives the id to `owner`, which had it before a restart. It is then an owner like any
 * other. -EEXIST: the id has an owner already. -ENOMEM. */
int claims_seed(struct claims *claims, const struct server_id *id, uint16_t owner);

/* The owner's uid, or CLAIMS_NOBODY. */
uint16_t claims_owner(const struct claims *claims, const struct server_id *id);

/* Leaves an empty set. */
void claims_free(struct claims *claims);

#endif
