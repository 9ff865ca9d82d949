/* What all nodes have learned comes from the server. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "learned/share_priv.h"

enum {
	AT_ONCE = 512, /* entries of all streams in one reply, or somewhat more */
};
#define WAIT_MS "1000"
#define SOON_MS "1" /* the first time: whether it answers at all */

static const char nonsense[] = "answers what no Redis does";

static unsigned entries_each(const struct share *share)
{
	return (unsigned)(AT_ONCE / share->plan->stream_count);
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

/* hiredis puts a NUL behind each text. */
static bool id_read(const redisReply *reply, struct share_id *out)
{
	const char *text = reply->str;

	return reply->type == REDIS_REPLY_STRING && number_read(&text, &out->ms) && *text++ == '-' &&
	       number_read(&text, &out->number) && text == reply->str + reply->len;
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
	struct redis_word words[REDIS_WORDS];
	size_t count = 0;

	snprintf(each, sizeof each, "%u", entries_each(share));
	words[count++] = redis_text("XREAD");
	words[count++] = redis_text("COUNT");
	words[count++] = redis_text(each);
	words[count++] = redis_text("BLOCK");
	words[count++] = redis_text(share->from_works ? WAIT_MS : SOON_MS);
	words[count++] = redis_text("STREAMS");
	for (size_t i = 0; i < plan->stream_count; i++)
		words[count++] = redis_text(plan->streams[i].key);
	for (size_t i = 0; i < plan->stream_count; i++)
		words[count++] = redis_text(id_format(ids[i], &plan->streams[i].last));
	redis_link_ask(share->from, words, count);
}

/* Where the entry that was read last is no more, there may be others that were not read: it is another server, or this
 * one has lost its data, or it went on for long without this node. */
static void ask_for_last(struct share *share, const struct share_stream *stream)
{
	char id[SHARE_ID_OCTETS];

	(void)id_format(id, &stream->last);
	const struct redis_word words[] = { redis_text("XRANGE"), redis_text(stream->key), redis_text(id),
					    redis_text(id),       redis_text("COUNT"),     redis_text("1") };
	redis_link_ask(share->from, words, sizeof words / sizeof *words);
}

static void on_ready(void *ctx)
{
	struct share *share = ctx;

	share->checks = 0;
	for (size_t i = 0; i < share->plan->stream_count; i++)
		if (!is_first(&share->plan->streams[i].last)) {
			ask_for_last(share, &share->plan->streams[i]);
			share->checks++;
		}
	if (share->checks == 0)
		ask_for_more(share);
}

/* Replies come in the order of the streams that were asked for. */
static const char *take_last(struct share *share, const redisReply *reply)
{
	unsigned still = share->checks--;

	if (reply->type != REDIS_REPLY_ARRAY)
		return nonsense;
	for (size_t i = share->plan->stream_count; i-- > 0;)
		if (!is_first(&share->plan->streams[i].last) && --still == 0) {
			if (reply->elements == 0)
				share->plan->streams[i].last = (struct share_id){ 0 };
			break;
		}
	if (share->checks == 0)
		ask_for_more(share);
	return NULL;
}

/* The text says just that. */
static bool is_text(const redisReply *reply, const char *text)
{
	return reply->type == REDIS_REPLY_STRING && reply->len == strlen(text) &&
	       memcmp(reply->str, text, reply->len) == 0;
}

/* Another of the pool's servers has that address. */
static bool is_others(const struct share_stream *stream, const struct share_server *server, const redisReply *at)
{
	for (size_t i = 0; i < stream->count; i++)
		if (&stream->servers[i] != server && is_text(at, stream->servers[i].at))
			return true;
	return false;
}

static void tell_foreign(struct share *share, const struct share_stream *stream)
{
	share->foreign++;
	if (share->told_foreign)
		return;
	share->told_foreign = true;
	log_event(LOG_LEVEL_WARNING, "redis_foreign", stream->pool, NULL,
		  "%s has entries of servers that this node does not have, or has at the address of others: is it "
		  "configured as the other nodes are?",
		  stream->key);
}

/* The fields of an entry, or NULL. */
struct entry {
	const redisReply *server, *at, *what;
};

static bool fields_read(const redisReply *fields, const char *what, struct entry *out)
{
	*out = (struct entry){ 0 };
	if (fields->type != REDIS_REPLY_ARRAY || fields->elements % 2 != 0)
		return false;
	for (size_t i = 0; i < fields->elements; i += 2) {
		const redisReply *name = fields->element[i], *value = fields->element[i + 1];

		if (name->type != REDIS_REPLY_STRING || value->type != REDIS_REPLY_STRING)
			return false;
		if (is_text(name, "server"))
			out->server = value;
		else if (is_text(name, "at"))
			out->at = value;
		else if (is_text(name, what))
			out->what = value;
	}
	return true;
}

static void take_entry(struct share *share, struct share_stream *stream, const struct entry *entry)
{
	const struct share_server *server;

	if (!entry->server || !entry->at || !entry->what || !share_stream_takes(stream, entry->what->len)) {
		share->malformed++;
		return;
	}
	server = share_plan_server(stream, (const uint8_t *)entry->server->str, entry->server->len);
	if (!server || server->member == LEARNED_NOBODY ||
	    (!is_text(entry->at, server->at) && is_others(stream, server, entry->at))) {
		tell_foreign(share, stream);
		return;
	}
	share->taken++;
	(void)learned_add_told(stream->table, (const uint8_t *)entry->what->str, entry->what->len, server->member);
}

static bool is_array(const redisReply *reply, size_t elements)
{
	return reply->type == REDIS_REPLY_ARRAY && reply->elements == elements;
}

/* False: it is none. */
static bool take_entries(struct share *share, struct share_stream *stream, const redisReply *entries)
{
	struct share_id id;
	struct entry entry;

	for (size_t i = 0; i < entries->elements; i++) {
		const redisReply *one = entries->element[i];

		if (!is_array(one, 2) || !id_read(one->element[0], &id) || !id_is_after(&id, &stream->last) ||
		    !fields_read(one->element[1], stream->field, &entry))
			return false;
		stream->last = id;
		take_entry(share, stream, &entry);
	}
	return true;
}

static struct share_stream *stream_of_key(const struct share *share, const redisReply *key)
{
	for (size_t i = 0; i < share->plan->stream_count; i++)
		if (is_text(key, share->plan->streams[i].key))
			return &share->plan->streams[i];
	return NULL;
}

static const char *take_streams(struct share *share, const redisReply *streams)
{
	bool is_all = true;

	for (size_t i = 0; i < streams->elements; i++) {
		const redisReply *one = streams->element[i];
		struct share_stream *stream = is_array(one, 2) ? stream_of_key(share, one->element[0]) : NULL;

		if (!stream || one->element[1]->type != REDIS_REPLY_ARRAY ||
		    !take_entries(share, stream, one->element[1]))
			return nonsense;
		is_all &= one->element[1]->elements < entries_each(share);
	}
	if (is_all)
		share->current_ms = clock_ms();
	return NULL;
}

static const char *on_reply(void *ctx, const redisReply *reply)
{
	struct share *share = ctx;
	const char *fault;

	if (reply->type == REDIS_REPLY_ERROR)
		return redis_error_text(reply);
	if (share->checks > 0)
		return take_last(share, reply);
	if (reply->type != REDIS_REPLY_ARRAY && reply->type != REDIS_REPLY_NIL)
		return nonsense;
	fault = take_streams(share, reply);
	if (fault)
		return fault;
	if (!share->from_works) {
		share->from_works = true;
		share_tell(share, NULL);
	}
	/* A server that does not wait, though it is asked to, must not keep this thread busy. */
	if (reply->elements > 0)
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
