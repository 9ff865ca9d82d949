/* What is shared, from inside: what share*.c share. Control thread. */
#ifndef CIDLB_LEARNED_SHARE_PRIV_H
#define CIDLB_LEARNED_SHARE_PRIV_H

#include "base/log_quota.h"
#include "common/learned_news.h"
#include "learned/share.h"

enum { SHARE_NOBODY = UINT16_MAX };

struct share_server {
	char *name;
	char *at;        /* its address as configured */
	uint16_t member; /* of the pool's table */
};

/* The id of an entry of a stream: "MILLISECONDS-NUMBER". All zero: before the first. */
struct share_id {
	uint64_t ms, number;
};
enum { SHARE_ID_OCTETS = 48 };

struct share_stream {
	char *pool; /* its name */
	char *key;
	const char *field; /* of its entries: "cid" or "session" */
	uint8_t octets;    /* of what is in the field. 0: of a CID */
	struct learned *table;
	uint32_t most;                /* entries that it keeps */
	struct share_id last;         /* that was read */
	struct share_server *servers; /* by name */
	size_t count;
	uint16_t of_member[LEARNED_MEMBERS]; /* index in servers, or SHARE_NOBODY */
};

/* True: there may be something of so many octets in the field. */
static inline bool share_stream_takes(const struct share_stream *stream, size_t octets)
{
	return stream->octets ? octets == stream->octets : octets > 0 && octets <= LEARNED_CID_MAX;
}

struct share_plan {
	bool wanted; /* there is a server, and a pool that learns */
	struct conf_redis server;
	struct share_stream *streams;
	size_t stream_count;
};

/* The server whose name these octets are, or NULL. */
const struct share_server *share_plan_server(const struct share_stream *stream, const uint8_t *name, size_t len);

/* A CID, or what a device resumes, on its way to the server. */
struct share_item {
	uint16_t stream; /* index in the plan */
	struct learned_new what;
};

/* Items wait at [head, tail) of a ring; those before `sent` were sent, and are not confirmed. */
struct share_queue {
	struct share_item *items; /* SHARE_WAITING */
	uint64_t head, sent, tail;
};

struct share {
	struct event_base *base;
	struct event *tick;
	struct share_plan *plan;             /* NULL: none yet */
	struct redis_link *to, *from;        /* what is pushed, and what is read */
	bool to_ready, to_works, from_works; /* works: it has answered what it is for */
	struct share_queue queue;
	bool ping;            /* one is under way */
	uint64_t pinged_ms;   /* when the last one was */
	unsigned checks;      /* streams whose last entry is being looked for */
	bool rests;           /* all was read; the next tick asks for more */
	uint64_t current_ms;  /* when all was read */
	uint64_t lost_before; /* of tables that are gone */
	uint64_t pushed, taken, foreign, malformed;
	char reason[REDIS_REASON_OCTETS];
	struct log_quota lines;
	bool told, told_works; /* whether anything was logged, and what last */
	char told_reason[REDIS_REASON_OCTETS];
	bool told_foreign, told_lost;
};

/* share.c: what happened to the links, for the log. */
void share_tell(struct share *share, const char *reason);

/* share_push.c */
extern const struct redis_link_calls share_push_calls;
/* Moves what was learned into the queue, and sends what may be sent. */
void share_push(struct share *share);
/* The items of the queue are of another plan now. */
void share_push_follow(struct share *share, const struct share_plan *before);
uint64_t share_lost(const struct share *share);

/* share_read.c */
extern const struct redis_link_calls share_read_calls;
/* Asks for more, if that was put off. */
void share_read(struct share *share);

#endif
