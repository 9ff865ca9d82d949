/* When something begins to run short, and when it is over: to be logged once each, however often it was refused in
 * between. Control thread; it looks about once a second. */
#ifndef CIDLB_CONTROL_SHORTAGE_H
#define CIDLB_CONTROL_SHORTAGE_H

#include <stdbool.h>
#include <stdint.h>

enum { SHORTAGE_QUIET_LOOKS = 10 /* without a refusal, and it is over */ };

/* All zero: nothing was refused so far. */
struct shortage {
	uint64_t refused; /* when last looked at */
	uint64_t before;  /* when it began */
	unsigned quiet_looks;
	bool lasts;
};

enum shortage_news { SHORTAGE_NO_NEWS, SHORTAGE_BEGINS, SHORTAGE_ENDS };

/* `refused`: a counter that never falls. After SHORTAGE_ENDS, refused - before is what the shortage has cost. */
enum shortage_news shortage_look(struct shortage *shortage, uint64_t refused);

/* The same, and logs the news as `event`: `what` runs short, or how much it has cost. `pool` may be NULL. */
void shortage_tell(struct shortage *shortage, uint64_t refused, const char *event, const char *pool, const char *what);

#endif
