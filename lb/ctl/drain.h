/* `drain`, and its --wait until the server may be stopped. */
#ifndef CIDLB_CTL_DRAIN_H
#define CIDLB_CTL_DRAIN_H

#include "ctl/options.h"

/* words: "drain" and a backend's name. CTL_TIMEOUT: it could not be told within options->timeout that the server may be
 * stopped. CTL_UNKEPT: it may be, but a restart of cidlb would not know that it drains. */
enum ctl_exit drain_run(char **words, const struct ctl_options *options);

#endif
