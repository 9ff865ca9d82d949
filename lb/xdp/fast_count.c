/* What the program has counted. */
#include <string.h>

#include "xdp/fast_priv.h"

static const size_t words = offsetof(struct fast_counts, sample_at) / sizeof(uint64_t);

void fast_count(struct fast *fast)
{
	memset(&fast->now, 0, sizeof fast->now);
	if (fast->program)
		fast_program_sum(&fast->now, fast->program);
}

void fast_look(struct fast *fast, struct fast_counts *out)
{
	fast_count(fast);
	memset(out, 0, sizeof *out);
	for (size_t i = 0; i < words; i++)
		((uint64_t *)out)[i] = ((const uint64_t *)&fast->now)[i] - ((const uint64_t *)&fast->base)[i];
}

const char *fast_passed_name(enum fast_passed why)
{
	static const char *const names[FAST_PASSES] = {
		[FAST_PASSED_FRAME] = "frame",   [FAST_PASSED_SOURCE] = "source",   [FAST_PASSED_RECORDS] = "records",
		[FAST_PASSED_CID] = "cid",       [FAST_PASSED_BACKEND] = "backend", [FAST_PASSED_SIZE] = "size",
		[FAST_PASSED_SAMPLE] = "sample",
	};

	return names[why];
}

static void add_sent(struct stats_sent *to, const struct fast_sent *now, const struct fast_sent *base)
{
	stats_add(&to->datagrams, now->datagrams - base->datagrams);
	stats_add(&to->octets, now->octets - base->octets);
}

void fast_sum(struct fast *fast, struct stats *sum)
{
	const struct fast_counts *now = &fast->now, *base = &fast->base;

	fast_count(fast);
	for (size_t uid = 0; uid < STATS_LISTENERS; uid++)
		for (size_t verdict = 0; verdict < VERDICTS; verdict++) {
			const uint64_t count = now->verdicts[uid][verdict] - base->verdicts[uid][verdict];

			stats_add(&sum->verdicts[uid][verdict], count);
			stats_add(&sum->received[uid], count);
		}
	for (size_t uid = 0; uid < STATS_POOLS; uid++) {
		stats_add(&sum->replies[uid], now->replies[uid] - base->replies[uid]);
		stats_add(&sum->refused_up[uid][REFUSED_SEND], now->refused_up[uid] - base->refused_up[uid]);
		stats_add(&sum->refused_down[uid][REFUSED_SEND], now->refused_down[uid] - base->refused_down[uid]);
	}
	for (size_t uid = 0; uid < STATS_BACKENDS; uid++) {
		add_sent(&sum->sent_up[uid], &now->sent_up[uid], &base->sent_up[uid]);
		add_sent(&sum->sent_up[uid], &now->hashed_up[uid], &base->hashed_up[uid]);
		add_sent(&sum->sent_down[uid], &now->sent_down[uid], &base->sent_down[uid]);
	}
}

void fast_forget(struct fast *fast, const struct fast_numbers *used)
{
	struct fast_counts *base = &fast->base;
	const struct fast_counts *now = &fast->now;

	fast_count(fast);
	for (size_t uid = 0; uid < STATS_LISTENERS; uid++) {
		if (used->listeners[uid])
			continue;
		memcpy(base->verdicts[uid], now->verdicts[uid], sizeof base->verdicts[uid]);
		memcpy(base->passed[uid], now->passed[uid], sizeof base->passed[uid]);
	}
	for (size_t uid = 0; uid < STATS_POOLS; uid++) {
		if (used->pools[uid])
			continue;
		base->replies[uid] = now->replies[uid];
		base->refused_up[uid] = now->refused_up[uid];
		base->refused_down[uid] = now->refused_down[uid];
	}
	for (size_t uid = 0; uid < STATS_BACKENDS; uid++) {
		if (used->backends[uid])
			continue;
		base->sent_up[uid] = now->sent_up[uid];
		base->sent_down[uid] = now->sent_down[uid];
		base->hashed_up[uid] = now->hashed_up[uid];
	}
}
