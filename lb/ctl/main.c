#include <getopt.h>
#include <stdio.h>

#include "conf/conf.h"
#include "ctl/commands.h"

int main(int argc, char **argv)
{
	enum { FROM = 256, CID, LIMIT, LISTENER, SOCKET, FOR, PCAP, POOL, ROTATION, COUNT, JSON };
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "from", required_argument, NULL, FROM },
		{ "cid", required_argument, NULL, CID },
		{ "limit", required_argument, NULL, LIMIT },
		{ "listener", required_argument, NULL, LISTENER },
		{ "socket", required_argument, NULL, SOCKET },
		{ "for", required_argument, NULL, FOR },
		{ "pcap", required_argument, NULL, PCAP },
		{ "pool", required_argument, NULL, POOL },
		{ "rotation", required_argument, NULL, ROTATION },
		{ "count", required_argument, NULL, COUNT },
		{ "json", no_argument, NULL, JSON },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct ctl_options options = { .file = "/etc/cidlb/cidlb.conf", .socket = CONF_SOCKET };
	int c;

	while ((c = getopt_long(argc, argv, "c:Vh", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			options.file = optarg;
			break;
		case FROM:
			options.from = optarg;
			break;
		case CID:
			options.cid = optarg;
			break;
		case LIMIT:
			options.limit = optarg;
			break;
		case LISTENER:
			options.listener = optarg;
			break;
		case SOCKET:
			options.socket = optarg;
			break;
		case FOR:
			options.duration = optarg;
			break;
		case PCAP:
			options.pcap = optarg;
			break;
		case POOL:
			options.pool = optarg;
			break;
		case ROTATION:
			options.rotation = optarg;
			break;
		case COUNT:
			options.count = optarg;
			break;
		case JSON:
			options.json = true;
			break;
		case 'V':
			puts("cidlbctl " CIDLB_VERSION);
			return CTL_OK;
		case 'h':
			commands_print_usage(stdout);
			return CTL_OK;
		default:
			commands_print_usage(stderr);
			return CTL_USAGE;
		}
	}
	return (int)commands_run(argc - optind, argv + optind, &options);
}
