/* What all nodes have learned comes from the server. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "learned/share_priv.h"

enum {
	AT_ONCE = 512, /* entries of all streams in one reply, or somewhat more */
	WORDS = 6 + 2 * CONF_MAX_POOLS,
};
#define WAIT_MS "1000"
#define SOON_MS "1" /* the first time: whether it answers at all */

static const char nonsense[] = "answers what no Redis does";

static unsigned entries_each(const struct share *share)
{
	return (unsigned)(AT_ONCE / share->plan->pool_count);
}

static const char *id_format(char text[static SHARE_ID_OCTETS], const struct share_id *id)
{
	snprintf(text, SHARE_ID_OCTETS, "%" PRIu64 "-%" PRIu64, id->ms, id->number);
	return text;
}

static bool number_read(const char **text, uint64_t *out)
{
	const char *begin = *text;

	for (*out = 0; **text >= '0' && **text <= '9'; (*text)++) {
		const unsigned digit = (unsigned)(**text - '0');

		if (*out > (UINT64_MAX - digit) / 10)
			return false;
		*out = *out * 10 + digit;
	}
	return *text > begin;
}

static bool id_read(const char *text, struct share_id *out)
{
	return number_read(&text, &out->ms) && *text++ == '-' && number_read(&text, &out->number) && !*text;
}

static bool id_is_after(const struct share_id *id, const struct share_id *other)
{
	return id->ms != other->ms ? id->ms > other->ms : id->number > other->number;
}

static bool is_first(const struct share_id *id)
{
	return id->ms == 0 && id->number == 0;
}

static void ask_for_more(struct share *share)
{
	const struct share_plan *plan = share->plan;
	char each[16], ids[CONF_MAX_POOLS][SHARE_ID_OCTETS];
	struct redis_word words[WORDS];
	size_t count = 0;

	snprintf(each, sizeof each, "%u", entries_each(share));
	words[count++] = redis_text("XREAD");
	words[count++] = redis_text("COUNT");
	words[count++] = redis_text(each);
	words[count++] = redis_text("BLOCK");
	words[count++] = redis_text(share->from_works ? WAIT_MS : SOON_MS);
	words[count++] = redis_text("STREAMS");
	for (size_t i = 0; i < plan->pool_count; i++)
		words[count++] = redis_text(plan->pools[i].key);
	for (size_t i = 0; i < plan->pool_count; i++)
		words[count++] = redis_text(id_format(ids[i], &plan->pools[i].last));
	redis_link_ask(share->from, words, count);
}

/* Where the entry that was read last is no more, there may be others that were not read: it is another server, or this
 * one has lost its data, or it went on for long without this node. */
static void ask_for_last(struct share *share, const struct share_pool *pool)
{
	char id[SHARE_ID_OCTETS];

	(void)id_format(id, &pool->last);
	const struct redis_word words[] = { redis_text("XRANGE"), redis_text(pool->key), redis_text(id),
					    redis_text(id),       redis_text("COUNT"),   redis_text("1") };
	redis_link_ask(share->from, words, sizeof words / sizeof *words);
}

static void on_ready(void *ctx)
{
	struct share *share = ctx;

	share->checks = 0;
	for (size_t i = 0; i < share->plan->pool_count; i++)
		if (!is_first(&share->plan->pools[i].last)) {
			ask_for_last(share, &share->plan->pools[i]);
			share->checks++;
		}
	if (share->checks == 0)
		ask_for_more(share);
}

/* Replies come in the order of the pools that were asked for. */
static const char *take_last(struct share *share, const struct resp_item *first)
{
	unsigned still = share->checks--;

	if (first->type != RESP_ARRAY)
		return nonsense;
	for (size_t i = share->plan->pool_count; i-- > 0;)
		if (!is_first(&share->plan->pools[i].last) && --still == 0) {
			if (first->number == 0)
				share->plan->pools[i].last = (struct share_id){ 0 };
			break;
		}
	if (share->checks == 0)
		ask_for_more(share);
	return NULL;
}

/* Another of the pool's servers has that address. */
static bool is_others(const struct share_pool *pool, const struct share_server *server, const struct resp_item *at)
{
	for (size_t i = 0; i < pool->count; i++) {
		const char *has = pool->servers[i].at;

		if (&pool->servers[i] != server && strlen(has) == at->len && memcmp(has, at->octets, at->len) == 0)
			return true;
	}
	return false;
}

static bool is_at(const struct share_server *server, const struct resp_item *at)
{
	return strlen(server->at) == at->len && memcmp(server->at, at->octets, at->len) == 0;
}

static void tell_foreign(struct share *share, const struct share_pool *pool)
{
	share->foreign++;
	if (share->told_foreign)
		return;
	share->told_foreign = true;
	log_event(LOG_LEVEL_WARNING, "redis_foreign", pool->name, NULL,
		  "%s has CIDs of servers that this node does not have, or has at the address of others: is it "
		  "configured as the other nodes are?",
		  pool->key);
}

/* The fields of an entry. A missing one has no octets. */
struct entry {
	struct resp_item server, at, cid;
};

static bool is_named(const struct resp_item *item, const char *name)
{
	return item->type == RESP_TEXT && item->len == strlen(name) && memcmp(item->octets, name, item->len) == 0;
}

static bool fields_read(struct bytes *in, struct entry *out)
{
	struct resp_item name, value;
	const int64_t count = resp_next_array(in);

	*out = (struct entry){ 0 };
	for (int64_t i = 0; i < count / 2; i++) {
		if (!resp_next(in, &name) || !resp_next(in, &value) || name.type != RESP_TEXT ||
		    value.type != RESP_TEXT)
			return false;
		if (is_named(&name, "server"))
			out->server = value;
		else if (is_named(&name, "at"))
			out->at = value;
		else if (is_named(&name, "cid"))
			out->cid = value;
	}
	return count >= 0 && count % 2 == 0;
}

static void take_entry(struct share *share, struct share_pool *pool, const struct entry *entry)
{
	const struct share_server *server;

	if (!entry->server.octets || !entry->at.octets || entry->cid.len == 0 || entry->cid.len > LEARNED_CID_MAX) {
		share->malformed++;
		return;
	}
	server = share_plan_server(pool, entry->server.octets, entry->server.len);
	if (!server || server->member == LEARNED_NOBODY ||
	    (!is_at(server, &entry->at) && is_others(pool, server, &entry->at))) {
		tell_foreign(share, pool);
		return;
	}
	share->taken++;
	(void)learned_add_told(pool->cids, entry->cid.octets, entry->cid.len, server->member);
}

/* False: it is none. */
static bool take_entries(struct share *share, struct share_pool *pool, struct bytes *in, int64_t count)
{
	char text[SHARE_ID_OCTETS];
	struct share_id id;
	struct entry entry;

	for (int64_t i = 0; i < count; i++) {
		if (resp_next_array(in) != 2 || !resp_next_text(in, text, sizeof text) || !id_read(text, &id) ||
		    !id_is_after(&id, &pool->last) || !fields_read(in, &entry))
			return false;
		pool->last = id;
		take_entry(share, pool, &entry);
	}
	return true;
}

static struct share_pool *pool_of_key(const struct share *share, const struct resp_item *key)
{
	for (size_t i = 0; i < share->plan->pool_count; i++)
		if (is_named(key, share->plan->pools[i].key))
			return &share->plan->pools[i];
	return NULL;
}

static const char *take_streams(struct share *share, struct bytes *in, int64_t count)
{
	bool is_all = true;

	for (int64_t i = 0; i < count; i++) {
		struct resp_item key;
		struct share_pool *pool;
		int64_t entries;

		if (resp_next_array(in) != 2 || !resp_next(in, &key) || !(pool = pool_of_key(share, &key)))
			return nonsense;
		entries = resp_next_array(in);
		if (entries < 0 || !take_entries(share, pool, in, entries))
			return nonsense;
		is_all &= entries < entries_each(share);
	}
	if (is_all)
		share->current_ms = clock_ms();
	return NULL;
}

static const char *on_reply(void *ctx, const struct resp_item *first, struct bytes reply)
{
	struct share *share = ctx;
	const char *fault;

	if (first->type == RESP_ERROR)
		return redis_error_text(first);
	if (share->checks > 0)
		return take_last(share, first);
	if (first->type != RESP_ARRAY && first->type != RESP_NOTHING)
		return nonsense;
	fault = take_streams(share, &reply, first->type == RESP_ARRAY ? first->number : 0);
	if (fault)
		return fault;
	if (!share->from_works) {
		share->from_works = true;
		share_tell(share, NULL);
	}
	/* A server that does not wait, though it is asked to, must not keep this thread busy. */
	if (first->type == RESP_ARRAY && first->number > 0)
		ask_for_more(share);
	else
		share->rests = true;
	return NULL;
}

void share_read(struct share *share)
{
	if (!share->rests)
		return;
	share->rests = false;
	ask_for_more(share);
}

static void on_down(void *ctx, const char *reason)
{
	struct share *share = ctx;

	share->from_works = share->rests = false;
	share_tell(share, reason);
}

const struct redis_link_calls share_read_calls = { on_ready, on_reply, on_down };
