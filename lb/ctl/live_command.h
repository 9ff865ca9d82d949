/* The commands that a running cidlb answers at once: `status`, `backends`, `flows`, `drain` and their like. */
#ifndef CIDLB_CTL_LIVE_COMMAND_H
#define CIDLB_CTL_LIVE_COMMAND_H

#include "ctl/options.h"

/* words: the command, then a backend's name and a weight where it takes them. options->cid, from and limit are for
 * `flows`. */
enum ctl_exit live_command_run(char **words, const struct ctl_options *options);

#endif
