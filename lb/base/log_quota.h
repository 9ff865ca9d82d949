/* How much of what others cause is logged: so many lines a minute, then one that says how many there were more. Control
 * thread only. */
#ifndef CIDLB_QUOTA_H
#define CIDLB_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

enum { QUOTA_LINES = 60, QUOTA_S = 60 };

/* All zero: nothing was logged yet. */
struct quota {
	int64_t begin_s;
	unsigned lines; /* logged since then */
	uint64_t more;  /* that were not */
};

/* One may be logged now, monotonic. False: it was counted. */
bool quota_take(struct quota *quota, int64_t now_s);

/* To be asked now and then. How many were not logged, once their minute is over: another one begins; else 0. */
uint64_t quota_more(struct quota *quota, int64_t now_s);

#endif
