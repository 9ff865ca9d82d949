/* The commands of cidlbctl, one row each. */
#ifndef CIDLB_CTL_COMMANDS_H
#define CIDLB_CTL_COMMANDS_H

#include <stdio.h>

#include "ctl/options.h"

/* Runs the command that `words` begins with; NULL is behind the last of its `count` words. What is no command, or not
 * what it takes, gets the usage on stderr, and CTL_USAGE. */
enum ctl_exit commands_run(int count, char **words, const struct ctl_options *options);

void commands_print_usage(FILE *out);

#endif
