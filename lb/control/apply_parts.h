/* The parts of control/ that a configuration changes. For apply.c only. Control thread. */
#ifndef CIDLB_CONTROL_APPLY_PARTS_H
#define CIDLB_CONTROL_APPLY_PARTS_H

#include "control/apply.h"

enum {
	APPLY_PARTS = 8,
	APPLY_EARLY = 6, /* so many of them stand before those of other folders */
};

/* Their context is the control. */
extern const struct apply_part apply_parts[APPLY_PARTS];

/* Called once all parts have committed. What was prepared becomes what runs, and what ran before is freed. */
void apply_take_over(struct control *control, struct apply_step *step);

#endif
