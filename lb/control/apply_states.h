/* The states that the backends of a configuration begin or go on with. One of the parts of apply.h. Control thread. */
#ifndef CIDLB_CONTROL_APPLY_STATES_H
#define CIDLB_CONTROL_APPLY_STATES_H

#include "control/apply.h"

/* Fills step->states and step->weights, and sets what is in force in step->spec. 0, or -ENOMEM: apply_states_free()
 * frees what there is. */
int apply_states_make(struct control *control, struct apply_step *step);

/* Copies them into the control. Called while control->spec is still the one before. */
void apply_states_take(struct control *control, const struct apply_step *step);

void apply_states_free(struct apply_step *step);

#endif
