/* The immutable routing table: everything route() reads.
 *
 * Owner: the control thread builds and publishes it. Workers read it between two quiescent states. Nobody changes it
 * after publication.
 *
 * uid: the stable small number of a pool, a backend or a listener. It stays the same over reloads, and is taken back
 * only when nothing bears it any more. Flows, counters and health know them by it.
 */
#ifndef CIDLB_SNAPSHOT_H
#define CIDLB_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "bad_sources.h"
#include "cid.h"
#include "pool.h"
#include "rendezvous.h"
#include "siphash.h"
#include "verdict.h"

enum pool_protocol { POOL_DTLS, POOL_UDP };
enum pool_affinity { AFFINITY_ADDRESS_PORT, AFFINITY_ADDRESS };
enum unknown_cid { UNKNOWN_CID_DROP, UNKNOWN_CID_HASH };
enum all_down { ALL_DOWN_HASH, ALL_DOWN_DROP };

#define SNAPSHOT_NO_BACKEND UINT16_MAX

/* What snapshot_build() is told of a backend and what readers see. */
struct snapshot_backend {
	const char *name; /* the snapshot holds its own copy */
	uint16_t uid;
	uint16_t weight; /* 0..256; 0: CID traffic only */
	struct addr addr;
	uint32_t iface; /* index of the interface that it is reached on; 0: any */
	enum backend_health health;
	enum backend_admin admin;
};

/* A server id and its backend. A backend may have several ids, or none. */
struct snapshot_id {
	struct server_id id;
	uint16_t backend; /* index in the pool's backends */
};

struct snapshot_pool_spec {
	const char *name; /* the snapshot holds its own copy */
	uint16_t uid;
	enum pool_protocol protocol;
	enum pool_affinity affinity;
	enum unknown_cid unknown_cid;
	enum all_down all_down;
	struct cid_layout layout;
	const struct snapshot_backend *backends;
	size_t backend_count;          /* 1..RENDEZVOUS_MAX_MEMBERS; distinct names and uids */
	const struct snapshot_id *ids; /* distinct; ids that are not as long as the layout's belong to nobody */
	size_t id_count;
};

struct snapshot_ids; /* server ids of three and more octets: snapshot.c */
/* The rendezvous table. Snapshots with the same members and weights share and count it: snapshot_slots.c. */
struct snapshot_slots;

struct snapshot_pool {
	char *name;
	uint16_t uid;
	enum pool_protocol protocol;
	enum pool_affinity affinity;
	enum unknown_cid unknown_cid;
	enum all_down all_down;
	struct cid_layout layout;
	bool reads_cids; /* a DTLS pool whose layout is not CID_LAYOUT_NONE */
	bool opens_cids; /* … and not CID_LAYOUT_LEARNED either */
	/* The pool's key: siphash_key_derive(service's key, "pool:NAME"). The key of the rendezvous table is derived
	 * from it by "slots", and that of the server ids by "ids". */
	struct siphash_key hash_key;
	struct snapshot_backend *backends;
	size_t backend_count;
	bool *led_to; /* per backend: some id leads to it */
	/* Per backend: takes new sessions. If none does and all_down is "hash", the ready ones with weight do. Where
	 * the layout carries ids, a backend without an id never does, because the CIDs that it gives out would lead to
	 * others. */
	bool *accepts;
	bool any_accepts;
	uint8_t *cid_verdict;           /* per backend: the verdict on a datagram whose CID names it */
	const struct rendezvous *slots; /* NULL: not built yet */
	struct snapshot_slots *slots_owner;
	uint8_t id_octets;        /* of the server ids; 0: the layout carries none */
	uint16_t *index_of_id;    /* ids of one or two octets: an entry for each; SNAPSHOT_NO_BACKEND: nobody's */
	struct snapshot_ids *ids; /* longer ones */
	uint16_t *index_of_uid;   /* uid_count entries; SNAPSHOT_NO_BACKEND: not of this pool */
	size_t uid_count;
	const struct bad_sources *bad_sources; /* the snapshot's */
	const struct bad_marks *bad_marks;
	char *names; /* owns all names above */
};

struct snapshot {
	uint64_t generation; /* 1, 2, …; for logs */
	struct siphash_key key;
	struct snapshot_pool *pools;
	size_t pool_count;
	struct bad_sources *bad_sources; /* NULL: only those of no host */
	uint64_t homes_digest; /* a keyed hash of which backend owns which id, and of where the backends are */
};

/* Builds a snapshot. Pools whose members and weights did not change share their slot tables with `previous` (may be
 * NULL). Where few changed, the table is updated from the previous one, if that has its slots. NULL: out of memory. */
struct snapshot *snapshot_build(const struct siphash_key *key, const struct snapshot_pool_spec *pools,
				size_t pool_count, const struct snapshot *previous);
void snapshot_free(struct snapshot *snapshot);

/* The same without what takes long: a table that would have to be built from nothing is left out. Readers then rank all
 * members for each hash, with the same result, in some 5 ns for each member. */
struct snapshot *snapshot_begin(const struct siphash_key *key, const struct snapshot_pool_spec *pools,
				size_t pool_count, const struct snapshot *previous);

/* Builds a piece of a table that was left out, in about a millisecond. `snapshot` may be published: it does not get the
 * table. The next one that is built after it does. False: nothing was left to build. */
bool snapshot_go_on(const struct snapshot *snapshot);

/* True if some pool has no slots. */
bool snapshot_lacks_slots(const struct snapshot *snapshot);

/* Takes the sources that no datagram may come from, in all pools. Before publication, once. */
void snapshot_take_bad_sources(struct snapshot *snapshot, struct bad_sources *sources);

/* The first says where to look for a server id, and prefetches that row. The second gives the backend, or
 * SNAPSHOT_NO_BACKEND. */
size_t snapshot_prefetch_long_id(const struct snapshot_pool *pool, const struct server_id *id);
uint16_t snapshot_backend_of_long_id(const struct snapshot_pool *pool, size_t row, const struct server_id *id);

/* The same for an id of any length. In the header for the node-id path, where two calls would be a fifth of the
 * time. */
static inline size_t snapshot_prefetch_id(const struct snapshot_pool *pool, const struct server_id *id)
{
	if (!pool->index_of_id)
		return snapshot_prefetch_long_id(pool, id);
	const size_t row = pool->id_octets == 1 ? id->octets[0] : (size_t)id->octets[0] << 8 | id->octets[1];
	__builtin_prefetch(&pool->index_of_id[row]);
	return row;
}

static inline uint16_t snapshot_backend_of_id_at(const struct snapshot_pool *pool, size_t row,
						 const struct server_id *id)
{
	if (id->len != pool->id_octets)
		return SNAPSHOT_NO_BACKEND;
	return pool->index_of_id ? pool->index_of_id[row] : snapshot_backend_of_long_id(pool, row, id);
}

/* Both in one call. */
static inline uint16_t snapshot_backend_of_id(const struct snapshot_pool *pool, const struct server_id *id)
{
	return snapshot_backend_of_id_at(pool, snapshot_prefetch_id(pool, id), id);
}

/* Shows `visit` each server id that leads to a backend (index). Off the packet path. */
typedef void snapshot_visit_id(void *ctx, const struct server_id *id, uint16_t backend);
void snapshot_each_id(const struct snapshot_pool *pool, snapshot_visit_id *visit, void *ctx);

/* The index of the backend with this uid, or SNAPSHOT_NO_BACKEND if this pool has no such backend (any more). */
static inline uint16_t snapshot_backend_of_uid(const struct snapshot_pool *pool, uint16_t uid)
{
	return uid < pool->uid_count ? pool->index_of_uid[uid] : SNAPSHOT_NO_BACKEND;
}

/* The best backend for a hash among those that take new sessions: the first rank that accepts, else (and without slots)
 * the best by a linear search. SNAPSHOT_NO_BACKEND: none accepts. */
uint16_t snapshot_backend_of_hash(const struct snapshot_pool *pool, uint64_t hash);

static inline void snapshot_prefetch_hash(const struct snapshot_pool *pool, uint64_t hash)
{
	if (pool->slots)
		__builtin_prefetch(&pool->slots->first[rendezvous_slot(hash)]);
}

#endif
