#include "admin/history.h"

static uint64_t *count_of(struct history_moment *moment, enum verdict verdict)
{
	switch (verdict) {
	case VERDICT_CID:
	case VERDICT_CID_DRAINING:
	case VERDICT_CID_DOWN:
		return &moment->by_cid;
	case VERDICT_LIMITED:
		return &moment->limited;
	default:
		return verdict_is_routed(verdict) ? &moment->without_cid : &moment->dropped;
	}
}

void history_add(struct history *history, int64_t at_ms, const struct stats *sum)
{
	struct history_moment *moment = &history->moments[history->count++ % HISTORY_MOMENTS];

	*moment = (struct history_moment){ .at_ms = at_ms };
	for (size_t uid = 0; uid < STATS_LISTENERS; uid++)
		for (enum verdict verdict = 0; verdict < VERDICTS; verdict++)
			*count_of(moment, verdict) += stats_read(&sum->verdicts[uid][verdict]);
	for (size_t uid = 0; uid < STATS_POOLS; uid++)
		moment->begun += stats_read(&sum->handshakes_begun[uid]);
}

json_t *history_json(const struct history *history)
{
	const size_t kept = history->count < HISTORY_MOMENTS ? history->count : HISTORY_MOMENTS;
	json_t *json = json_array();

	for (size_t at = history->count - kept; at < history->count; at++) {
		const struct history_moment *moment = &history->moments[at % HISTORY_MOMENTS];

		json_array_append_new(json, json_pack("[I, I, I, I, I, I]", (json_int_t)moment->at_ms,
						      (json_int_t)moment->by_cid, (json_int_t)moment->without_cid,
						      (json_int_t)moment->limited, (json_int_t)moment->dropped,
						      (json_int_t)moment->begun));
	}
	return json;
}
