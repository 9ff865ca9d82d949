/* `cidlbctl events`: what has happened, and with --follow what happens. */
#ifndef CIDLB_CTL_EVENTS_H
#define CIDLB_CTL_EVENTS_H

#include "ctl/options.h"

/* CTL_REFUSED with --follow: cidlb is gone. */
enum ctl_exit events_run(char **words, const struct ctl_options *options);

#endif
