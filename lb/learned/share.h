/* What several nodes learn and share through a Redis or Valkey server: CIDs, and the session ids and tickets that
 * devices without CIDs resume (path/resumed.h).
 *
 * A pool has a stream PREFIX:POOL for CIDs, and PREFIX:POOL:sessions. A node adds what it learns (XADD), and reads what
 * all of them add (XREAD BLOCK), from a stream's beginning on. A stream keeps cid.max_cids or max_resumable entries or
 * a few more (MAXLEN ~). An entry has the fields `server`, the name of the backend, `at`, its address as configured,
 * and `cid` or `session`: the keyed hash of a session id or of a ticket, which is the same on all nodes with one
 * hash_key. Where the session of an address is, each node keeps for itself: a handshake at another node teaches that
 * one.
 *
 * Look-ups are in the node's own tables, whatever becomes of the server. While that is gone or full, what is learned
 * waits here, SHARE_WAITING entries in all, and then in the news of its table (common/learned_news.h).
 *
 * An entry is taken if this node has a backend of that name in that pool, and no other of its backends there has the
 * address of the entry. Whatever else the server says changes nothing but counters. Control thread.
 */
#ifndef CIDLB_LEARNED_SHARE_H
#define CIDLB_LEARNED_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "common/learned.h"
#include "conf/conf.h"
#include "learned/redis_link.h"

enum { SHARE_WAITING = 65536 };

struct share;
struct share_plan; /* what a configuration asks for */

/* Shares nothing yet. 0 or -ENOMEM. */
int share_new(struct share **out, struct event_base *base);
void share_free(struct share *share);

/* What a pool learns, or NULL. */
struct share_tables {
	struct learned *cids, *sessions;
};

/* `tables`: by the index of the pool. They must outlive what comes of the plan. 0 or -ENOMEM. */
int share_plan_new(struct share_plan **out, const struct conf *conf, const struct share_tables *tables);
void share_plan_free(struct share_plan *plan);

/* Takes over the plan, and its ownership. Connects anew, and reads all streams from their beginning. Cannot fail. */
void share_follow(struct share *share, struct share_plan *plan);

struct share_state {
	bool configured, connected;
	char address[ADDR_TEXT_OCTETS];
	char reason[REDIS_REASON_OCTETS]; /* why it is not connected; "": not known yet */
	uint64_t waiting;                 /* entries that the server has not confirmed */
	uint64_t pushed, dropped;         /* entries that it has confirmed, and for which there was no room to wait */
	uint64_t taken;                   /* entries read that this node can use */
	uint64_t foreign;                 /* entries of servers that this node does not have */
	uint64_t malformed;               /* entries that are none */
	uint64_t behind_s;                /* since this node had last read all there was */
};
void share_look(const struct share *share, struct share_state *out);

#endif
