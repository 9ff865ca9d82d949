/* Rate limit for log lines that remote parties can trigger: so many a minute, then one line with the number left out.
 * Control thread only. */
#ifndef CIDLB_BASE_LOG_QUOTA_H
#define CIDLB_BASE_LOG_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

enum { LOG_QUOTA_LINES = 60, LOG_QUOTA_S = 60 };

/* All zero: nothing has been logged yet. */
struct log_quota {
	int64_t begin_s;
	unsigned lines; /* logged since then */
	uint64_t more;  /* that were not */
};

/* True: the caller may log one line now. False: it is counted instead. The time is monotonic. */
bool log_quota_take(struct log_quota *quota, int64_t now_s);

/* How many lines were left out, once their minute is over; another minute begins then. Else 0. To be asked now and
 * then. */
uint64_t log_quota_more(struct log_quota *quota, int64_t now_s);

#endif
