/* How much of what others cause is logged: so many lines a minute, then one that says how many there were more. Control
 * thread only. */
#ifndef CIDLB_BASE_LOG_QUOTA_H
#define CIDLB_BASE_LOG_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

enum { LOG_QUOTA_LINES = 60, LOG_QUOTA_S = 60 };

/* All zero: nothing was logged yet. */
struct log_quota {
	int64_t begin_s;
	unsigned lines; /* logged since then */
	uint64_t more;  /* that were not */
};

/* One may be logged now, monotonic. False: it was counted. */
bool log_quota_take(struct log_quota *quota, int64_t now_s);

/* To be asked now and then. How many were not logged, once their minute is over: another one begins; else 0. */
uint64_t log_quota_more(struct log_quota *quota, int64_t now_s);

#endif
