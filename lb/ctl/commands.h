/* Finds the command that is meant, and runs it. */
#ifndef CIDLB_CTL_COMMANDS_H
#define CIDLB_CTL_COMMANDS_H

#include <stdbool.h>

#include "ctl/command_table.h"

/* Runs the command that `words` begins with. NULL is behind the last of its `count` words. If they are no command, or
 * not what it takes, says so on stderr and returns CTL_USAGE. */
enum ctl_exit commands_run(int count, char **words, const struct ctl_options *options);

/* How many words the name of `command` is, if `words` begins with it; else 0. */
int commands_match(const struct ctl_command *command, int count, char **words);

/* True if that is the first word of its name. */
bool commands_begins(const struct ctl_command *command, const char *word);

/* Says that these words are no command, and what may have been meant. */
void commands_print_unknown(char **words);

#endif
