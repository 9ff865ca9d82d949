#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"

static const char usage[] = "usage: cidlbctl route HEX|- [--from IP:PORT] [-c FILE] [--listener NAME] [--json]\n"
			    "       cidlbctl -V | --help\n"
			    "\n"
			    "route   explains where one datagram would go: the records seen, the CID and what the pool's layout\n"
			    "        makes of it, the verdict and the backend, with every backend up. HEX may hold spaces and\n"
			    "        colons; - reads it from stdin. Without --from, a decision by address is left open.\n"
			    "\n"
			    "  -c, --config FILE      configuration (default /etc/cidlb/cidlb.conf)\n"
			    "      --from IP:PORT     the device's address\n"
			    "      --listener NAME    where the datagram arrives (default: the only listener)\n"
			    "      --json             answer in JSON\n"
			    "  -V, --version          print the version\n"
			    "  -h, --help             print this\n";

static enum ctl_exit misused(void)
{
	fputs(usage, stderr);
	return CTL_USAGE;
}

static enum ctl_exit run(int argc, char **argv, const struct ctl_options *options)
{
	if (argc == 2 && strcmp(argv[0], "route") == 0)
		return ctl_route(argv[1], options);
	return misused();
}

int main(int argc, char **argv)
{
	enum { FROM = 256, LISTENER, JSON };
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "from", required_argument, NULL, FROM },
		{ "listener", required_argument, NULL, LISTENER },
		{ "json", no_argument, NULL, JSON },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct ctl_options options = { .file = "/etc/cidlb/cidlb.conf" };
	int c;

	while ((c = getopt_long(argc, argv, "c:Vh", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			options.file = optarg;
			break;
		case FROM:
			options.from = optarg;
			break;
		case LISTENER:
			options.listener = optarg;
			break;
		case JSON:
			options.json = true;
			break;
		case 'V':
			puts("cidlbctl " CIDLB_VERSION);
			return CTL_OK;
		case 'h':
			fputs(usage, stdout);
			return CTL_OK;
		default:
			return (int)misused();
		}
	}
	return (int)run(argc - optind, argv + optind, &options);
}
