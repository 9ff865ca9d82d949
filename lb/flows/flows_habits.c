#include "flows/flows_habits.h"

struct looking {
	struct flows_habits *const *habits;
	uint32_t now_ms;
};

static void on_flow(void *ctx, const struct flow *flow)
{
	const struct looking *looking = ctx;
	struct flows_habits *habits = looking->habits[flow->backend];
	const uint64_t pause_ms = pause_s(flow->pause) * 1000;
	int64_t silent_ms;

	if (!habits || flow->class == FLOW_CLASS_HANDSHAKE)
		return;
	habits->counts[flow->pause]++;
	/* A worker's clock may be ahead. */
	silent_ms = (int32_t)(looking->now_ms - flow_up_ms(flow));
	if (silent_ms < 0)
		silent_ms = 0;
	if (flow->pause == 0)
		return;
	if ((uint64_t)silent_ms > pause_ms)
		habits->late++;
	else if (pause_ms - (uint64_t)silent_ms > habits->due_ms)
		habits->due_ms = pause_ms - (uint64_t)silent_ms;
}

void flows_habits(struct flows *flows, struct flows_habits *const habits[static STATS_BACKENDS], uint32_t now_ms)
{
	struct looking looking = { habits, now_ms };

	flows_visit(flows, on_flow, &looking);
}

uint64_t flows_habit_s(const struct flows_habits *habits, unsigned percent)
{
	uint64_t total = 0, seen = 0;

	for (unsigned pause = 1; pause < PAUSES; pause++)
		total += habits->counts[pause];
	for (unsigned pause = 1; pause < PAUSES; pause++) {
		seen += habits->counts[pause];
		if (total > 0 && seen * 100 >= total * percent)
			return pause_s((uint8_t)pause);
	}
	return 0;
}
