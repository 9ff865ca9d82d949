/* Nanoseconds that parts of the packet path cost, without sockets: a line of JSON for each case. bench/REFERENCE.md
 * says how to read it. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/programs/core/flow_bed.h"
#include "bench/programs/core/groups.h"
#include "bench/programs/core/pools.h"

enum { EXIT_USAGE = 2 };

static const char usage[] =
	"usage: cidlb-core [--quick] [--list] [--case NAME…]\n"
	"\n"
	"Prints what parts of the packet path cost, in nanoseconds of CPU time: a line of JSON for each case. The "
	"ratio\n"
	"in it is to a yardstick measured beside the case: SipHash-2-4 of an IPv4 address and port.\n"
	"  --case NAME          only this one, or those whose names begin so; may be repeated (default: all)\n"
	"  --list               names them\n"
	"  --quick              to see that it works, without what takes long: its figures are no result\n";

static const struct core_group *const groups[] = { &core_walk,    &core_lookup, &core_route,
						   &core_garbage, &core_flow,   &core_header };

struct wanted {
	char **names;
	int count; /* 0: all */
	bool list, quick;
};

static bool is_wanted(const struct wanted *wanted, const struct core_case *case_)
{
	for (int i = 0; i < wanted->count; i++)
		if (strncmp(case_->name, wanted->names[i], strlen(wanted->names[i])) == 0)
			return !(wanted->quick && case_->slow);
	return wanted->count == 0 && !(wanted->quick && case_->slow);
}

/* Measures or names the cases of a group that are wanted. Returns how many these were. */
static size_t do_group(const struct core_group *group, const struct wanted *wanted)
{
	size_t done = 0;

	for (size_t i = 0; i < group->count; i++) {
		const struct core_case *case_ = &group->cases[i];

		if (!is_wanted(wanted, case_))
			continue;
		done++;
		if (wanted->list)
			puts(case_->name);
		else
			case_->measure(case_, wanted->quick ? MEASURE_QUICK : MEASURE_FULL);
	}
	return done;
}

static int read_options(struct wanted *wanted, int argc, char **argv)
{
	static const struct option options[] = {
		{ "case", required_argument, NULL, 'c' },
		{ "list", no_argument, NULL, 'l' },
		{ "quick", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			wanted->names[wanted->count++] = optarg;
			break;
		case 'l':
			wanted->list = true;
			break;
		case 'q':
			wanted->quick = true;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		default:
			return -EINVAL;
		}
	}
	if (optind != argc)
		fprintf(stderr, "%s: not an option; --help says what there is\n", argv[optind]);
	return optind == argc ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
	struct wanted wanted = { .names = measure_alloc((size_t)argc, sizeof *wanted.names) };
	size_t done = 0;

	if (read_options(&wanted, argc, argv))
		return EXIT_USAGE;
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
		done += do_group(groups[i], &wanted);
	flow_bed_free();
	pools_free();
	free(wanted.names);
	if (done)
		return EXIT_SUCCESS;
	fputs("cidlb-core: no such case; --list names them\n", stderr);
	return EXIT_USAGE;
}
