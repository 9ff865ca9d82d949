/* What this node learns goes to the server. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "learned/share_priv.h"

enum { UNDER_WAY = 512 /* entries without an answer, at most */, PING_MS = 1000 };

static struct share_item *item_at(const struct share_queue *queue, uint64_t at)
{
	return &queue->items[at % SHARE_WAITING];
}

static void ask_to_add(struct share *share, const struct share_item *item)
{
	const struct share_stream *stream = &share->plan->streams[item->stream];
	const struct share_server *server = &stream->servers[stream->of_member[item->what.member]];
	char most[16];

	snprintf(most, sizeof most, "%" PRIu32, stream->most);
	const struct redis_word words[] = {
		redis_text("XADD"),     redis_text(stream->key),   redis_text("MAXLEN"),
		redis_text("~"),        redis_text(most),          redis_text("*"),
		redis_text("server"),   redis_text(server->name),  redis_text("at"),
		redis_text(server->at), redis_text(stream->field), { .octets = item->what.cid, .len = item->what.len },
	};
	redis_link_ask(share->to, words, sizeof words / sizeof *words);
}

/* One that has lost its backend says nothing to anybody. */
static bool is_known(const struct share_stream *stream, const struct learned_new *what)
{
	return what->member < LEARNED_MEMBERS && stream->of_member[what->member] != SHARE_NOBODY;
}

static void collect(struct share *share)
{
	struct share_queue *queue = &share->queue;
	struct learned_new what;

	for (size_t i = 0; i < share->plan->stream_count; i++) {
		const struct share_stream *stream = &share->plan->streams[i];

		while (queue->tail - queue->head < SHARE_WAITING && learned_news_take(stream->table->news, &what))
			if (share_stream_takes(stream, what.len) && is_known(stream, &what))
				*item_at(queue, queue->tail++) = (struct share_item){ (uint16_t)i, what };
	}
}

void share_push(struct share *share)
{
	struct share_queue *queue = &share->queue;
	const uint64_t now_ms = clock_ms();

	collect(share);
	if (!share->to_ready)
		return;
	while (queue->sent < queue->tail && queue->sent - queue->head < UNDER_WAY)
		ask_to_add(share, item_at(queue, queue->sent++));
	if (queue->sent == queue->head && !share->ping && now_ms - share->pinged_ms >= PING_MS) {
		const struct redis_word ping = redis_text("PING");

		redis_link_ask(share->to, &ping, 1);
		share->ping = true;
		share->pinged_ms = now_ms;
	}
}

/* The members of a table stay what they are. */
void share_push_follow(struct share *share, const struct share_plan *before)
{
	struct share_queue *queue = &share->queue;
	const uint64_t tail = queue->tail;
	uint64_t kept = queue->head;

	for (uint64_t at = queue->head; before && at < tail; at++) {
		struct share_item item = *item_at(queue, at);

		for (size_t i = 0; i < share->plan->stream_count; i++) {
			const struct share_stream *stream = &share->plan->streams[i];

			if (stream->table != before->streams[item.stream].table || !is_known(stream, &item.what))
				continue;
			item.stream = (uint16_t)i;
			*item_at(queue, kept++) = item;
			break;
		}
	}
	queue->tail = kept;
	queue->sent = queue->head;
}

uint64_t share_lost(const struct share *share)
{
	uint64_t lost = share->lost_before;

	for (size_t i = 0; share->plan && i < share->plan->stream_count; i++)
		lost += learned_news_lost(share->plan->streams[i].table->news);
	return lost;
}

static void on_ready(void *ctx)
{
	struct share *share = ctx;

	share->to_ready = true;
	/* While something waits, only its confirmation says that the server takes it. */
	if (share->queue.head == share->queue.tail)
		share->to_works = true;
	share_tell(share, NULL);
	share_push(share);
}

static const char *on_reply(void *ctx, const redisReply *reply)
{
	struct share *share = ctx;
	struct share_queue *queue = &share->queue;

	if (reply->type == REDIS_REPLY_ERROR)
		return redis_error_text(reply);
	if (reply->type == REDIS_REPLY_STATUS && share->ping) {
		share->ping = false;
	} else if (reply->type == REDIS_REPLY_STRING && queue->head < queue->sent) {
		queue->head++;
		share->pushed++;
	} else {
		return "answers what no Redis does";
	}
	if (!share->to_works) {
		share->to_works = true;
		share_tell(share, NULL);
	}
	share_push(share);
	return NULL;
}

static void on_down(void *ctx, const char *reason)
{
	struct share *share = ctx;

	share->to_ready = share->to_works = share->ping = false;
	share->queue.sent = share->queue.head;
	share_tell(share, reason);
}

const struct redis_link_calls share_push_calls = { on_ready, on_reply, on_down };
