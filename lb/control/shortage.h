/* Tells when a shortage begins and when it is over. Each is logged once, however often something was refused in
 * between. Control thread, which looks about once a second. */
#ifndef CIDLB_CONTROL_SHORTAGE_H
#define CIDLB_CONTROL_SHORTAGE_H

#include <stdbool.h>
#include <stdint.h>

enum { SHORTAGE_QUIET_LOOKS = 10 /* it is over after so many without a refusal */ };

/* All zero: nothing has been refused yet. */
struct shortage {
	uint64_t refused; /* when it was last looked at */
	uint64_t before;  /* when the shortage began */
	unsigned quiet_looks;
	bool lasts;
};

enum shortage_news { SHORTAGE_NO_NEWS, SHORTAGE_BEGINS, SHORTAGE_ENDS };

/* `refused`: a counter that never falls. After SHORTAGE_ENDS, refused - before is what the shortage has cost. */
enum shortage_news shortage_look(struct shortage *shortage, uint64_t refused);

/* Logs what the shortage that has just ended has cost. `pool` and `backend` may be NULL. */
void shortage_tell_over(const struct shortage *shortage, const char *event, const char *pool, const char *backend);

/* Does the same as shortage_look(), and logs the news as `event`: `what` when it begins, and its cost when it ends.
 * `pool` may be NULL. */
void shortage_tell(struct shortage *shortage, uint64_t refused, const char *event, const char *pool, const char *what);

#endif
