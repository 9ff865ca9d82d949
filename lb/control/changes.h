/* What a configuration changes of the backends, for the log: those that it adds and removes, and states and weights
 * that change with it, or that commands had set before cidlb was started. Control thread. */
#ifndef CIDLB_CONTROL_CHANGES_H
#define CIDLB_CONTROL_CHANGES_H

#include "control/apply.h"

/* Called once it is certain that the configuration will run, while the one before still does. */
void changes_log(struct control *control, const struct apply_step *step);

#endif
