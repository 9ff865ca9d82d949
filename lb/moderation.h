/* Interrupt moderation for a worker: while datagrams come fast it sleeps for a moment between batches, so that several have come when it
 * looks again. Otherwise it is woken for one or two at a time, and waking up costs more than forwarding. Network cards do the same (ethtool
 * --coalesce). Slow traffic is not held up, and nobody sleeps while there is a backlog. Owner: one worker. Pure: it is told the time. */
#ifndef CIDLB_MODERATION_H
#define CIDLB_MODERATION_H

#include <stdbool.h>
#include <stdint.h>

enum {
	MODERATION_SLEEP_NS = 50000,
	MODERATION_PER_MS = 40, /* datagrams: from this rate on, two at least come in that time */
};

struct moderation {
	uint64_t since_ms; /* the clock's last tick */
	uint32_t received; /* datagrams since then */
	bool fast;         /* up to that tick they came fast */
	bool backlog;      /* the last round left some */
};

/* A batch was read; full: there may be more behind it. */
static inline void moderation_count(struct moderation *moderation, uint32_t datagrams, bool full)
{
	moderation->received += datagrams;
	moderation->backlog |= full;
}

/* Begins a round of batches, at a time that never goes back, and may stand still for some milliseconds. */
static inline void moderation_round(struct moderation *moderation, uint64_t now_ms)
{
	moderation->backlog = false;
	if (now_ms == moderation->since_ms)
		return;
	moderation->fast = moderation->received >= MODERATION_PER_MS * (now_ms - moderation->since_ms);
	moderation->since_ms = now_ms;
	moderation->received = 0;
}

/* True if the worker should sleep before it looks for more. */
static inline bool moderation_sleeps(const struct moderation *moderation)
{
	return moderation->fast && !moderation->backlog;
}

#endif
