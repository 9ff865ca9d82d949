/* The commands of cidlbctl, one row each. */
#ifndef CIDLB_CTL_COMMANDS_H
#define CIDLB_CTL_COMMANDS_H

#include <stdio.h>

#include "ctl/options.h"

/* Runs the command that `words` begins with. NULL is behind the last of its `count` words. If they are no command, or
 * not what it takes, prints the usage on stderr and returns CTL_USAGE. */
enum ctl_exit commands_run(int count, char **words, const struct ctl_options *options);

void commands_print_usage(FILE *out);

#endif
