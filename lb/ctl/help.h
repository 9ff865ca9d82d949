/* What cidlbctl says of itself and of its commands. */
#ifndef CIDLB_CTL_HELP_H
#define CIDLB_CTL_HELP_H

#include <stdio.h>

#include "ctl/command_table.h"

/* All commands and options. */
void help_print_usage(FILE *out);

/* "status [--socket PATH] [--json]" */
void help_print_synopsis(const struct ctl_command *command, FILE *out);

/* --help and `help`: of the command that the `count` words name, or begin to; of all, if there are no words. CTL_USAGE:
 * they name none, and that was said. */
enum ctl_exit help_print(int count, char **words);

/* words: "help", a command or none, and NULL. */
enum ctl_exit help_run(char **words, const struct ctl_options *options);

#endif
