/* One connection to a Redis or Valkey server, on the event loop: it is made, greeted (AUTH, PING), and made again after
 * a failure, at first soon, then every few seconds. Nobody waits for it.
 *
 * What the server says is a remote party's. A reply beyond the bounds of redis_reader.h, one that nobody waits for or
 * that is none, and silence for REDIS_SILENCE_S are failures. Reasons are in words of ours, because a server may repeat
 * the password in its own. Control thread.
 */
#ifndef CIDLB_LEARNED_REDIS_LINK_H
#define CIDLB_LEARNED_REDIS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <hiredis/hiredis.h>

#include "conf/conf.h"

enum {
	REDIS_SILENCE_S = 5,
	REDIS_RETRY_MS = 250, /* after the first failure; doubled after each that follows */
	REDIS_RETRY_MAX_MS = 4000,
	REDIS_REASON_OCTETS = 96,
	REDIS_WORDS = 6 + 4 * CONF_MAX_POOLS, /* XREAD: two streams of each pool, by key and id */
};

struct redis_link;

struct redis_link_calls {
	/* It may be asked from now on. */
	void (*ready)(void *ctx);
	/* The next reply. Returns NULL, or why it is a failure: a text that stays. */
	const char *(*reply)(void *ctx, const redisReply *reply);
	/* It is gone; whatever was asked gets no answer. It will be made again. */
	void (*down)(void *ctx, const char *reason);
};

/* `calls` and `ctx` must outlive it. NULL: out of memory. */
struct redis_link *redis_link_new(struct event_base *base, const struct redis_link_calls *calls, void *ctx);
void redis_link_free(struct redis_link *link);

/* Connects, anew if it is connected. `server` is borrowed until redis_link_close(). */
void redis_link_open(struct redis_link *link, const struct conf_redis *server);

/* Ends it, without a word. */
void redis_link_close(struct redis_link *link);

/* A word of a command. */
struct redis_word {
	const void *octets;
	size_t len;
};
struct redis_word redis_text(const char *text);

/* Asks, with at most REDIS_WORDS words. What cannot be sent for want of memory is a failure of the link, later. */
void redis_link_ask(struct redis_link *link, const struct redis_word *words, size_t count);

/* What an error reply means, in our words: a text that stays. */
const char *redis_error_text(const redisReply *error);

#endif
