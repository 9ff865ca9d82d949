#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "ctl/ctl.h"

static const char usage[] =
	"usage: cidlbctl status | backends | reload          [--socket PATH] [--json]\n"
	"       cidlbctl flows [--cid HEX | --from IP[:PORT]] [--limit N] [--socket PATH] [--json]\n"
	"       cidlbctl trace --cid HEX [--for TIME] [--pcap FILE] [--socket PATH] [--json]\n"
	"       cidlbctl drain | ready | maint NAME         [--socket PATH] [--json]\n"
	"       cidlbctl weight NAME N                      [--socket PATH] [--json]\n"
	"       cidlbctl route HEX|- [--from IP:PORT] [-c FILE] [--listener NAME] [--json]\n"
	"       cidlbctl cid mint POOL NAME|ID [--rotation N] [--count N] [-c FILE] [--json]\n"
	"       cidlbctl cid open HEX [--pool POOL] [-c FILE] [--json]\n"
	"       cidlbctl -V | --help\n"
	"\n"
	"status    the running cidlb: listeners, pools, flows, verdicts\n"
	"backends  health, state and traffic of every server\n"
	"flows     where devices are and which way they go: all, one session's, or one address's\n"
	"trace     shows the datagrams of a session as they pass: where from, who gets them, their records. One\n"
	"          trace runs at a time; of a long datagram the first 256 octets are kept\n"
	"drain     the server NAME (POOL/NAME where several pools have it) keeps its sessions, gets no new ones\n"
	"ready     it gets new sessions again\n"
	"maint     it gets nothing\n"
	"weight    its share of new sessions, 0..256; 0: none\n"
	"          All four last until cidlb ends or the server's entry in the configuration changes.\n"
	"reload    reads the configuration again; a wrong one changes nothing\n"
	"route     explains where one datagram would go: the records seen, the CID and what the pool's layout\n"
	"          makes of it, the verdict and the backend, with every backend up. HEX may hold spaces and\n"
	"          colons; - reads it from stdin. Without --from, a decision by address is left open.\n"
	"cid mint  CIDs as the server NAME, or the one with the id ID (a number, or 0x and hex), hands them out\n"
	"cid open  whose CID that is, by the configuration; exit status 1 if it is nobody's\n"
	"\n"
	"      --socket PATH      of the running cidlb (default " CONF_SOCKET ")\n"
	"      --cid HEX          of a session\n"
	"      --for TIME         that a trace lasts, as in 60s or 5m, up to an hour (default 60s)\n"
	"      --pcap FILE        writes what passes between devices and cidlb to FILE, for Wireshark\n"
	"      --limit N          flows shown, 1..1000 (default 100)\n"
	"  -c, --config FILE      configuration (default /etc/cidlb/cidlb.conf)\n"
	"      --from IP:PORT     the device's address\n"
	"      --listener NAME    where the datagram arrives (default: the only listener)\n"
	"      --pool POOL        of the CID (default: the only pool whose CIDs carry server ids)\n"
	"      --rotation N       of the config that mints (default: the first)\n"
	"      --count N          CIDs minted, 1..1000 (default 1)\n"
	"      --json             answer in JSON\n"
	"  -V, --version          print the version\n"
	"  -h, --help             print this\n";

static enum ctl_exit misused(void)
{
	fputs(usage, stderr);
	return CTL_USAGE;
}

static bool asks_cid(int argc, char **argv, const struct ctl_options *options)
{
	if (options->from || options->cid || options->limit || options->listener || options->duration || options->pcap)
		return false;
	if (argc == 4 && strcmp(argv[1], "mint") == 0)
		return !options->pool;
	return argc == 3 && strcmp(argv[1], "open") == 0 && !options->rotation && !options->count;
}

static enum ctl_exit run(int argc, char **argv, const struct ctl_options *options)
{
	static const struct {
		const char *name;
		int argc;
	} live[] = { { "status", 1 }, { "backends", 1 }, { "reload", 1 }, { "drain", 2 },
		     { "ready", 2 },  { "maint", 2 },    { "weight", 3 } };

	const bool asks_flows = argc > 0 && strcmp(argv[0], "flows") == 0;

	const bool asks_trace = argc > 0 && strcmp(argv[0], "trace") == 0;

	if (argc > 0 && strcmp(argv[0], "cid") == 0)
		return asks_cid(argc, argv, options) ? ctl_cid(argc, argv, options) : misused();
	if (options->pool || options->rotation || options->count || (options->limit && !asks_flows) ||
	    (options->cid && !asks_flows && !asks_trace) || ((options->duration || options->pcap) && !asks_trace))
		return misused();
	if (asks_trace)
		return argc == 1 && options->cid && !options->from ? ctl_trace(options) : misused();
	if (asks_flows)
		return argc == 1 && !(options->cid && options->from) ? ctl_live(argc, argv, options) : misused();
	for (size_t i = 0; argc > 0 && i < sizeof live / sizeof live[0]; i++)
		if (strcmp(argv[0], live[i].name) == 0)
			return argc == live[i].argc ? ctl_live(argc, argv, options) : misused();
	if (argc == 2 && strcmp(argv[0], "route") == 0)
		return ctl_route(argv[1], options);
	return misused();
}

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
			fputs(usage, stdout);
			return CTL_OK;
		default:
			return (int)misused();
		}
	}
	return (int)run(argc - optind, argv + optind, &options);
}
