/* The states that the backends of a configuration begin or go on with: a part of apply.h. Control thread. */
#ifndef CIDLB_CONTROL_APPLY_STATES_H
#define CIDLB_CONTROL_APPLY_STATES_H

#include "control/apply.h"

/* Fills step->states, step->weights, and what is in force in step->spec. 0 or -ENOMEM. */
int apply_states_make(struct control *control, struct apply_step *step);

/* They are the control's from now on. While control->spec is still that of before. */
void apply_states_take(struct control *control, const struct apply_step *step);

void apply_states_free(struct apply_step *step);

#endif
