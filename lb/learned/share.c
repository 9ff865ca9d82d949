#include "learned/share.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "learned/share_priv.h"

enum { TICK_MS = 100 };

static bool works(const struct share *share)
{
	return share->to_works && share->from_works;
}

/* One line when it begins to work, and one when it ceases to or the reason is another. */
void share_tell(struct share *share, const char *reason)
{
	const bool now = works(share);
	char address[ADDR_TEXT_OCTETS];

	if (reason)
		snprintf(share->reason, sizeof share->reason, "%s", reason);
	if (!now && !reason)
		return;
	if (share->told && now == share->told_works && (now || strcmp(share->reason, share->told_reason) == 0))
		return;
	if (!log_quota_take(&share->lines, clock_s()))
		return;
	share->told = true;
	share->told_works = now;
	snprintf(share->told_reason, sizeof share->told_reason, "%s", share->reason);
	addr_format(&share->plan->server.addr, address);
	if (now)
		log_fields(
			&(struct log_what){ LOG_LEVEL_INFO, "redis", NULL, NULL,
					    LOG_FIELDS(LOG_TEXT("address", address), LOG_TEXT("state", "connected"),
						       LOG_NUMBER("waiting", share->queue.tail - share->queue.head)) },
			"%s is connected; entries that wait for it: %" PRIu64, address,
			share->queue.tail - share->queue.head);
	else
		log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "redis", NULL, NULL,
					       LOG_FIELDS(LOG_TEXT("address", address), LOG_TEXT("state", "lost"),
							  LOG_TEXT("reason", share->reason)) },
			   "%s %s: sessions go on with what this node knows, and what it learns is shared later",
			   address, share->reason);
}

static void tell_lost(struct share *share)
{
	if (share->told_lost || share_lost(share) == 0)
		return;
	share->told_lost = true;
	log_event(LOG_LEVEL_WARNING, "redis_dropped", NULL, NULL,
		  "more is learned than can wait for Redis: this node knows it, and other nodes will not");
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct share *share = ctx;

	(void)fd;
	(void)what;
	share_push(share);
	share_read(share);
	tell_lost(share);
}

int share_new(struct share **out, struct event_base *base)
{
	struct share *share = calloc(1, sizeof *share);

	if (!share)
		return -ENOMEM;
	share->base = base;
	share->queue.items = calloc(SHARE_WAITING, sizeof *share->queue.items);
	share->tick = event_new(base, -1, EV_PERSIST, on_tick, share);
	share->to = redis_link_new(base, &share_push_calls, share);
	share->from = redis_link_new(base, &share_read_calls, share);
	if (!share->queue.items || !share->tick || !share->to || !share->from) {
		share_free(share);
		return -ENOMEM;
	}
	*out = share;
	return 0;
}

void share_free(struct share *share)
{
	if (!share)
		return;
	redis_link_free(share->to);
	redis_link_free(share->from);
	if (share->tick)
		event_free(share->tick);
	share_plan_free(share->plan);
	free(share->queue.items);
	free(share);
}

static bool has_table(const struct share_plan *plan, const struct learned *cids)
{
	for (size_t i = 0; i < plan->stream_count; i++)
		if (plan->streams[i].table == cids)
			return true;
	return false;
}

/* News of tables that are shared no more are nobody's. Those of the others are not missed for a moment. */
static void want_news(const struct share_plan *plan, const struct share_plan *before)
{
	for (size_t i = 0; before && i < before->stream_count; i++)
		if (!has_table(plan, before->streams[i].table))
			learned_news_want(before->streams[i].table->news, false);
	for (size_t i = 0; i < plan->stream_count; i++)
		learned_news_want(plan->streams[i].table->news, true);
}

static void connect_anew(struct share *share)
{
	static const struct timeval tick = { 0, TICK_MS * 1000 };

	share->to_ready = share->to_works = share->from_works = share->ping = share->rests = false;
	share->reason[0] = '\0';
	share->current_ms = clock_ms();
	(void)event_add(share->tick, &tick);
	redis_link_open(share->to, &share->plan->server);
	redis_link_open(share->from, &share->plan->server);
}

void share_follow(struct share *share, struct share_plan *plan)
{
	struct share_plan *before = share->plan;
	const uint64_t lost = share_lost(share);
	uint64_t still;

	redis_link_close(share->to);
	redis_link_close(share->from);
	(void)event_del(share->tick);
	want_news(plan, before);
	share->plan = plan;
	share->lost_before = 0;
	still = share_lost(share);
	share->lost_before = lost > still ? lost - still : 0;
	share_push_follow(share, before);
	share_plan_free(before);
	share->told_foreign = false;
	if (plan->wanted)
		connect_anew(share);
}

void share_look(const struct share *share, struct share_state *out)
{
	*out = (struct share_state){ .dropped = share_lost(share) };
	out->configured = share->plan && share->plan->wanted;
	out->connected = works(share);
	out->waiting = share->queue.tail - share->queue.head;
	out->pushed = share->pushed;
	out->taken = share->taken;
	out->foreign = share->foreign;
	out->malformed = share->malformed;
	if (!out->configured)
		return;
	addr_format(&share->plan->server.addr, out->address);
	if (!out->connected)
		snprintf(out->reason, sizeof out->reason, "%s", share->reason);
	out->behind_s = (clock_ms() - share->current_ms) / 1000;
}
