/* The commands of cidlbctl, one row each. */
#ifndef CIDLB_CTL_COMMAND_TABLE_H
#define CIDLB_CTL_COMMAND_TABLE_H

#include "ctl/options.h"

struct ctl_command {
	const char *name;     /* one word or two */
	int arguments;        /* words behind the name */
	int optional;         /* so many more there may be */
	const char *synopsis; /* of the arguments, and of options that are its own */
	const char *others;   /* in help, behind that; NULL: none. Commands that agree in both share a line */
	const char *help;
	unsigned takes;    /* options, a set */
	unsigned needs;    /* at least one of these, which it takes as well; 0: none */
	unsigned excludes; /* not two of these at once */
	ctl_run run;
};

extern const struct ctl_command ctl_commands[];
extern const size_t ctl_command_count;

/* All options that it can be given, those included that every command may be given. */
unsigned ctl_command_takes(const struct ctl_command *command);

#endif
