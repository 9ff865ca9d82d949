#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/std_files.h"
#include "bench/lib/counters_file.h"
#include "bench/lib/options.h"
#include "bench/lib/stop.h"
#include "bench/lib/tunnel_keys.h"
#include "bench/programs/load/load.h"
#include "bench/programs/load/pace.h"
#include "bench/programs/load/packet.h"
#include "bench/programs/load/record.h"

_Static_assert(LOAD_SERVERS_MAX == 64, "as messages say");

enum { EXIT_USAGE = 2, MAX_BATCH = 1024, LIST_OCTETS = 5 * LOAD_SIZES };

static const char usage[] =
	"usage: cidlb-load [--target A:P] --servers A:P --port P --counters FILE [options]\n"
	"\n"
	"Sends CID records of many devices in turn through a forwarder, and echoes them as its servers. IPv4.\n"
	"  --target A:P         the forwarder (default: devices send straight to the servers that their CIDs name)\n"
	"  --servers A:P        the first of the servers, which are on consecutive ports; required\n"
	"  --server-count N     1..64, with --by-address 1..65535; CIDs name them 1, 2, ... (default 3)\n"
	"  --by-address         servers are on consecutive addresses of one port instead; needs --target\n"
	"  --port P             of the devices, which are addresses of a /12; of more than 1,048,576 the next million "
	"is on\n"
	"                       the next port, and so on; required\n"
	"  --devices A          the first address of the devices, which may use the rest of its /12 (default "
	"127.16.0.0)\n"
	"  --devices-net FILE   the network namespace that devices are in (default: that of the program)\n"
	"  --servers-net FILE   the network namespace that servers are in (default: that of the program)\n"
	"  --sources N          devices, 1..16777216 (default 1000)\n"
	"  --first N            which of them begins, less than sources (default 0)\n"
	"  --stride N           how much further the next one is, modulo sources (default 1)\n"
	"  --octets N[,N...]    of datagrams, for sources in turn (default 100)\n"
	"  --rate N             datagrams a second of all devices (default 50000)\n"
	"  --batch N            datagrams that fall due together, 1..1024 (default 16); 1: and sockets are polled "
	"without a\n"
	"                       pause, for latency\n"
	"  --kernel-times       a datagram has come when the kernel has it, and not when this program gets to it\n"
	"  --tunnel FILE        servers speak the header of mode tunnel with the keys in FILE (default: none)\n"
	"  --counters FILE      numbers of 64 bits, up to date at any time: sent, arrived, elsewhere, answered, "
	"returned,\n"
	"                       misdelivered, garbled, refused; the longest silence at servers and at devices, in ns; "
	"the\n"
	"                       cells of two histograms (histogram.h) of the time from device to server and back; "
	"required\n"
	"Ends on SIGTERM, once nothing is on its way.\n";

/* N, or several with commas between them. */
static int read_octets(struct load_settings *s, const char *name, const char *text)
{
	char list[LIST_OCTETS], *rest = list;

	snprintf(list, sizeof list, "%s", text);
	for (s->octets_count = 0; rest && s->octets_count < LOAD_SIZES; s->octets_count++) {
		uint32_t octets = 0;
		int err = option_number32(&octets, name, strsep(&rest, ","), RECORD_MIN_OCTETS, RECORD_MAX_OCTETS);

		if (err)
			return err;
		s->octets[s->octets_count] = (uint16_t)octets;
	}
	if (!rest && strlen(text) < sizeof list)
		return 0;
	fprintf(stderr, "--%s: more than %d\n", name, LOAD_SIZES);
	return -EINVAL;
}

static int read_devices(struct load_settings *s, const char *name, const char *text)
{
	struct addr first;

	if (!addr_parse_ip(&first, text) && addr_is_v4(&first)) {
		struct sockaddr_in named = packet_name(&first);

		s->devices = ntohl(named.sin_addr.s_addr);
		if (block_is_first(s->devices))
			return 0;
	}
	fprintf(stderr, "--%s: %s; accepted: the first IPv4 address of a /12\n", name, text);
	return -EINVAL;
}

static int read_option(struct load_settings *s, int option, const char *name, const char *text)
{
	uint32_t port = 0;
	int err;

	switch (option) {
	case 't':
		return option_addr(&s->target, name, text);
	case 's':
		return option_addr(&s->servers, name, text);
	case 'n':
		return option_number32(&s->server_count, name, text, 1, UINT16_MAX);
	case 'a':
		s->by_address = true;
		return 0;
	case 'f':
		return option_number32(&s->first, name, text, 0, BLOCK_ADDRESSES * BLOCK_PORTS - 1);
	case 'i':
		return option_number32(&s->stride, name, text, 1, BLOCK_ADDRESSES * BLOCK_PORTS);
	case 'p':
		err = option_number32(&port, name, text, 1, UINT16_MAX);
		s->port = (uint16_t)port;
		return err;
	case 'd':
		return option_number32(&s->sources, name, text, 1, BLOCK_ADDRESSES * BLOCK_PORTS);
	case 'e':
		return read_devices(s, name, text);
	case 'v':
		s->devices_net = text;
		return 0;
	case 'w':
		s->servers_net = text;
		return 0;
	case 'o':
		return read_octets(s, name, text);
	case 'r':
		return option_number(&s->rate, name, text, 1, PACE_MAX_RATE);
	case 'b':
		return option_number32(&s->batch, name, text, 1, MAX_BATCH);
	case 'l':
		s->kernel_times = true;
		return 0;
	case 'k':
		s->tunnel = true;
		return tunnel_keys_option(&s->keys, text);
	case 'h':
		fputs(usage, stdout);
		exit(EXIT_SUCCESS);
	default:
		return -EINVAL;
	}
}

static int check(const struct load_settings *s, const char *counters)
{
	if (!s->servers.port)
		return option_missing("servers");
	if (!s->port)
		return option_missing("port");
	if (!counters)
		return option_missing("counters");
	if (!addr_is_v4(&s->servers) || (s->target.port && !addr_is_v4(&s->target)))
		return option_refuse("--servers and --target: accepted: IPv4 addresses");
	if (s->first >= s->sources)
		return option_refuse("--first: accepted: less than --sources");
	if (s->by_address && !s->target.port)
		return option_refuse("--by-address: needs --target");
	if (!s->by_address && s->server_count > LOAD_SERVERS_MAX)
		return option_refuse("--server-count: accepted without --by-address: 1..64");
	return s->port <= UINT16_MAX - BLOCK_PORTS ? 0 : option_refuse("--port: too high for the ports that follow");
}

static int read_options(struct load_settings *s, const char **counters, int argc, char **argv)
{
	static const struct option options[] = {
		{ "target", required_argument, NULL, 't' },
		{ "servers", required_argument, NULL, 's' },
		{ "server-count", required_argument, NULL, 'n' },
		{ "by-address", no_argument, NULL, 'a' },
		{ "first", required_argument, NULL, 'f' },
		{ "stride", required_argument, NULL, 'i' },
		{ "devices", required_argument, NULL, 'e' },
		{ "devices-net", required_argument, NULL, 'v' },
		{ "servers-net", required_argument, NULL, 'w' },
		{ "port", required_argument, NULL, 'p' },
		{ "sources", required_argument, NULL, 'd' },
		{ "octets", required_argument, NULL, 'o' },
		{ "rate", required_argument, NULL, 'r' },
		{ "batch", required_argument, NULL, 'b' },
		{ "kernel-times", no_argument, NULL, 'l' },
		{ "tunnel", required_argument, NULL, 'k' },
		{ "counters", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option, at;

	while ((option = getopt_long(argc, argv, "", options, &at)) != -1) {
		if (option == 'c')
			*counters = optarg;
		else if (option == '?' || read_option(s, option, options[at].name, optarg))
			return -EINVAL;
	}
	return optind == argc ? check(s, *counters) : option_left_over(argv[optind]);
}

int main(int argc, char **argv)
{
	struct load_settings settings = { .server_count = 3,
					  .sources = 1000,
					  .stride = 1,
					  .octets = { 100 },
					  .octets_count = 1,
					  .batch = 16,
					  .rate = 50000,
					  .devices = BLOCK_DEVICES };
	volatile sig_atomic_t *stop;
	const char *path = NULL;
	struct load *load;
	void *counters;
	int err;

	std_files_open();
	if (read_options(&settings, &path, argc, argv))
		return EXIT_USAGE;
	stop = stop_on_signal();
	/* By default the kernel may be 50 us late, so that several timers fall together. */
	prctl(PR_SET_TIMERSLACK, 1);
	err = counters_file_make(&counters, path, sizeof(struct load_counters));
	if (!err)
		err = load_new(&load, &settings, counters);
	if (err) {
		fprintf(stderr, "cannot load: %s\n", strerror(-err));
		return EXIT_FAILURE;
	}
	fputs("loading\n", stderr);
	load_run(load, stop);
	load_free(load);
	return EXIT_SUCCESS;
}
