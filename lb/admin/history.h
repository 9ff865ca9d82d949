/* What became of datagrams in the last minutes, so that whoever opens the dashboard sees them at once. A value of a
 * fixed size. Control thread. */
#ifndef CIDLB_ADMIN_HISTORY_H
#define CIDLB_ADMIN_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/stats.h"

enum {
	HISTORY_S = 5,       /* between two moments */
	HISTORY_MOMENTS = 61 /* five minutes */
};

/* Counters of all listeners, those included that a reload has taken away. */
struct history_moment {
	int64_t at_ms; /* Unix time */
	uint64_t by_cid, without_cid, limited, dropped;
	uint64_t begun; /* handshakes */
};

struct history {
	size_t count; /* of all that were added */
	struct history_moment moments[HISTORY_MOMENTS];
};

/* The oldest moment goes. */
void history_add(struct history *history, int64_t at_ms, const struct stats *sum);

/* [[at_ms, by_cid, without_cid, limited, dropped, begun], …], the oldest first. NULL: out of memory. */
json_t *history_json(const struct history *history);

#endif
