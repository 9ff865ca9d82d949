/* How often the devices behind a backend speak, by the intervals that its flows have seen. Control thread. */
#ifndef CIDLB_FLOWS_HABITS_H
#define CIDLB_FLOWS_HABITS_H

#include "flows/flows.h"
#include "flows/pause.h"

struct flows_habits {
	/* Flows beyond class handshake, by the longest silence after which their device spoke again. counts[0]: it has
	 * not been silent for a second yet. */
	uint32_t counts[PAUSES];
	uint32_t late;   /* of those with a habit: silent for longer than ever now */
	uint64_t due_ms; /* in so long each of the others has spoken or is late */
};

/* Fills in habits[uid] of each backend that has one; the others are NULL. It walks the whole table, so it is only for
 * people who ask. */
void flows_habits(struct flows *flows, struct flows_habits *const habits[static STATS_BACKENDS], uint32_t now_ms);

/* So many seconds at most are `percent` of those with a habit silent between two datagrams, as far as was seen. 0: none
 * has a habit. */
uint64_t flows_habit_s(const struct flows_habits *habits, unsigned percent);

#endif
