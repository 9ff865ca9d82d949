/* The parts of control/ that a configuration changes, for apply.c. */
#ifndef CIDLB_CONTROL_APPLY_PARTS_H
#define CIDLB_CONTROL_APPLY_PARTS_H

#include "control/apply.h"

enum { APPLY_PARTS = 6 };

/* Called with the control as their context. */
extern const struct apply_part apply_parts[APPLY_PARTS];

/* Once all have committed: what was prepared is what runs, and what ran before is freed. */
void apply_take_over(struct control *control, struct apply_step *step);

#endif
