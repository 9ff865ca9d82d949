#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/std_files.h"
#include "conf/conf.h"
#include "ctl/commands.h"
#include "ctl/help.h"

enum { LONG = 256 /* + number of the option */ };

static void longs_fill(struct option longs[static CTL_OPTIONS + 1])
{
	for (int i = 0; i < CTL_OPTIONS; i++)
		longs[i] = (struct option){ .name = ctl_options[i].name + strlen("--"),
					    .has_arg = ctl_options[i].argument ? required_argument : no_argument,
					    .val = LONG + i };
	longs[CTL_OPTIONS] = (struct option){ 0 };
}

/* CTL_OPTIONS: there is none. */
static enum ctl_option_number option_of(int read)
{
	if (read >= LONG)
		return (enum ctl_option_number)(read - LONG);
	for (enum ctl_option_number i = 0; i < CTL_OPTIONS; i++)
		if (ctl_options[i].letter == read)
			return i;
	return CTL_OPTIONS;
}

int main(int argc, char **argv)
{
	struct ctl_options options = { .file = "/etc/cidlb/cidlb.conf", .socket = CONF_SOCKET };
	struct option longs[CTL_OPTIONS + 1];

	std_files_open();
	longs_fill(longs);
	for (int read; (read = getopt_long(argc, argv, "c:Vh", longs, NULL)) != -1;) {
		const enum ctl_option_number number = option_of(read);

		if (number == CTL_OPTIONS) { /* getopt has named the mistake */
			fputs("`cidlbctl --help` has all options\n", stderr);
			return CTL_USAGE;
		}
		ctl_options_set(&options, number, optarg);
	}
	if (options.version)
		return puts("cidlbctl " CIDLB_VERSION) < 0 ? CTL_REFUSED : CTL_OK;
	if (options.help)
		return (int)help_print(argc - optind, argv + optind);
	return (int)commands_run(argc - optind, argv + optind, &options);
}
