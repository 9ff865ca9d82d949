/* cidlb-frames: devices and servers as a network card has them. Frames are made in the kernel, and their way ends
 * there, so no socket takes part at either end. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/std_files.h"
#include "bench/lib/clock.h"
#include "bench/lib/counters_file.h"
#include "bench/lib/options.h"
#include "bench/lib/stop.h"
#include "bench/lib/tunnel_keys.h"
#include "bench/programs/frames/head.h"
#include "bench/programs/frames/run.h"

enum {
	EXIT_USAGE = 2,
	MAX_SECONDS = 600,
	MAX_SERVERS = 64,
	MAX_SOURCES = 1 << 20,
	MAX_RATE = 10000000,
	MAX_BURST = 1024
};
enum { ON_ITS_WAY_NS = 50000000, SECOND_NS = 1000000000 };

static const char usage[] =
	"usage: cidlb-frames --devices-net FILE --devices-if IF --servers-net FILE --servers-if IF --mac MAC\n"
	"                    --target A:P --servers A:P --port P --counters FILE [options]\n"
	"       cidlb-frames --floor IF,IF [--garbage] [--seconds N]\n"
	"\n"
	"Sends CID records of many devices in turn, as frames that come from a network card, and answers as their\n"
	"servers. IPv4 at the devices. Needs root and BPF_F_TEST_XDP_LIVE_FRAMES (Linux 5.18).\n"
	"  --devices-net FILE   the network namespace of the devices; required\n"
	"  --devices-if IF      their interface; required\n"
	"  --servers-net FILE   the network namespace of the servers; required\n"
	"  --servers-if IF      their interface; required\n"
	"  --mac MAC            of the balancer's interface at the devices; required\n"
	"  --target A:P         where devices send to; required\n"
	"  --servers A:P        the first of the servers, which are on consecutive ports. Only its port matters; "
	"required\n"
	"  --server-count N     1..64; CIDs name them 1, 2, ... (default 3)\n"
	"  --devices A          the first address of the devices (default 10.16.0.0)\n"
	"  --port P             of the devices; required\n"
	"  --sources N          devices, 1..1048576 (default 1000)\n"
	"  --octets N           of datagrams, 30..1400 (default 100)\n"
	"  --rate N             datagrams a second of all devices; 0: as many as can be (default 30000)\n"
	"  --batch N            datagrams that fall due together, 1..1024 (default 16)\n"
	"  --tunnel FILE        servers read version 2 of the header of mode tunnel, with the first key in FILE "
	"(default: "
	"none)\n"
	"  --one-way            servers do not answer\n"
	"  --garbage            datagrams are no DTLS. With --floor: each frame is dropped\n"
	"  --counters FILE      numbers of 64 bits, up to date each millisecond: when that was, in ns of the monotonic "
	"clock;\n"
	"                       sent, arrived, elsewhere, unread, returned, misdelivered; required\n"
	"  --seconds N          ends after so many seconds, 1..600 (default 600)\n"
	"  --floor IF,IF        in place of all that: each frame of one interface leaves through the other (default: "
	"none)\n"
	"Ends on SIGTERM, too.\n";

struct counters {
	uint64_t ns;
	struct frames_counts counts;
};

struct settings {
	const char *devices_net, *devices_if, *servers_net, *servers_if, *counters;
	char *floor;
	struct head_settings head;
	struct sockaddr_in servers;
	uint32_t server_count, devices, sources, burst, seconds;
	uint64_t rate;
	struct proxy2_keys keys;
	bool one_way, has_mac;
};

static int read_v4(struct sockaddr_in *out, const char *name, const char *text)
{
	struct addr addr;
	int err = option_addr(&addr, name, text);

	if (err)
		return err;
	if (!addr_is_v4(&addr)) {
		fprintf(stderr, "--%s: %s; accepted: an IPv4 address with a port\n", name, text);
		return -EINVAL;
	}
	*out = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(addr.port) };
	memcpy(&out->sin_addr, addr.ip + 12, 4);
	return 0;
}

static int read_devices(uint32_t *out, const char *name, const char *text)
{
	struct addr addr;

	if (addr_parse_ip(&addr, text) || !addr_is_v4(&addr)) {
		fprintf(stderr, "--%s: %s; accepted: an IPv4 address\n", name, text);
		return -EINVAL;
	}
	memcpy(out, addr.ip + 12, 4);
	*out = ntohl(*out);
	return 0;
}

static int read_mac(struct settings *s, const char *name, const char *text)
{
	uint8_t *mac = s->head.to_mac;
	int end = 0;

	s->has_mac = sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", mac, mac + 1, mac + 2, mac + 3, mac + 4,
			    mac + 5, &end) == 6 &&
		     text[end] == '\0';
	if (s->has_mac)
		return 0;
	fprintf(stderr, "--%s: %s; accepted: six octets in hex with colons between them\n", name, text);
	return -EINVAL;
}

static int read_u16(uint16_t *out, const char *name, const char *text, uint32_t min, uint32_t max)
{
	uint32_t value = 0;
	int err = option_number32(&value, name, text, min, max);

	*out = (uint16_t)value;
	return err;
}

static int read_option(struct settings *s, int option, const char *name, char *text)
{
	switch (option) {
	case 'v':
		s->devices_net = text;
		return 0;
	case 'i':
		s->devices_if = text;
		return 0;
	case 'w':
		s->servers_net = text;
		return 0;
	case 'j':
		s->servers_if = text;
		return 0;
	case 'm':
		return read_mac(s, name, text);
	case 't':
		return read_v4(&s->head.target, name, text);
	case 's':
		return read_v4(&s->servers, name, text);
	case 'n':
		return option_number32(&s->server_count, name, text, 1, MAX_SERVERS);
	case 'e':
		return read_devices(&s->devices, name, text);
	case 'p':
		return read_u16(&s->head.port, name, text, 1, UINT16_MAX);
	case 'd':
		return option_number32(&s->sources, name, text, 1, MAX_SOURCES);
	case 'o':
		return read_u16(&s->head.octets, name, text, HEAD_MIN_OCTETS, HEAD_MAX_OCTETS);
	case 'r':
		return option_number(&s->rate, name, text, 0, MAX_RATE);
	case 'b':
		return option_number32(&s->burst, name, text, 1, MAX_BURST);
	case 'k':
		return tunnel_keys_option(&s->keys, text);
	case 'y':
		s->one_way = true;
		return 0;
	case 'g':
		s->head.garbage = true;
		return 0;
	case 'c':
		s->counters = text;
		return 0;
	case 'x':
		return option_number32(&s->seconds, name, text, 1, MAX_SECONDS);
	case 'f':
		s->floor = text;
		return 0;
	case 'h':
		fputs(usage, stdout);
		exit(EXIT_SUCCESS);
	default:
		return -EINVAL;
	}
}

static int check(const struct settings *s)
{
	const struct {
		const char *name;
		bool there;
	} needed[] = {
		{ "devices-net", s->devices_net },
		{ "devices-if", s->devices_if },
		{ "servers-net", s->servers_net },
		{ "servers-if", s->servers_if },
		{ "counters", s->counters },
		{ "mac", s->has_mac },
		{ "target", s->head.target.sin_port },
		{ "servers", s->servers.sin_port },
		{ "port", s->head.port },
	};

	if (s->floor)
		return strchr(s->floor, ',') ? 0 : option_refuse("--floor: accepted: two interfaces, IF,IF");
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		if (!needed[i].there)
			return option_missing(needed[i].name);
	return 0;
}

static int read_options(struct settings *s, int argc, char **argv)
{
	static const struct option options[] = {
		{ "devices-net", required_argument, NULL, 'v' },
		{ "devices-if", required_argument, NULL, 'i' },
		{ "servers-net", required_argument, NULL, 'w' },
		{ "servers-if", required_argument, NULL, 'j' },
		{ "mac", required_argument, NULL, 'm' },
		{ "target", required_argument, NULL, 't' },
		{ "servers", required_argument, NULL, 's' },
		{ "server-count", required_argument, NULL, 'n' },
		{ "devices", required_argument, NULL, 'e' },
		{ "port", required_argument, NULL, 'p' },
		{ "sources", required_argument, NULL, 'd' },
		{ "octets", required_argument, NULL, 'o' },
		{ "rate", required_argument, NULL, 'r' },
		{ "batch", required_argument, NULL, 'b' },
		{ "tunnel", required_argument, NULL, 'k' },
		{ "one-way", no_argument, NULL, 'y' },
		{ "garbage", no_argument, NULL, 'g' },
		{ "counters", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 'x' },
		{ "floor", required_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option, at;

	while ((option = getopt_long(argc, argv, "", options, &at)) != -1)
		if (option == '?' || read_option(s, option, options[at].name, optarg))
			return -EINVAL;
	return optind == argc ? check(s) : option_left_over(argv[optind]);
}

struct sight {
	const struct frames *frames;
	struct counters *counters;
	uint64_t until_ns;
	volatile sig_atomic_t *stop;
};

static void look(void *ctx)
{
	struct sight *sight = ctx;

	sight->counters->counts = sight->frames->counts;
	sight->counters->ns = clock_ns();
	if (sight->counters->ns >= sight->until_ns)
		*sight->stop = 1;
}

/* Frames and both ends of their way. */
static int run_all(struct run *run, const struct settings *s, volatile sig_atomic_t *stop)
{
	static uint8_t frame[HEAD_FRAME_OCTETS];
	struct frames *frames = run_frames(run);
	struct sight sight = { .frames = frames, .stop = stop };
	void *counters;
	int err = counters_file_make(&counters, s->counters, sizeof *sight.counters), device;
	uint32_t octets;

	if (err)
		return err;
	sight.counters = counters;
	octets = head_make(frame, frames, &s->head);
	frames->key[0] = s->keys.keys[0].key.k0;
	frames->key[1] = s->keys.keys[0].key.k1;
	frames->tunnel = s->keys.count > 0;
	frames->burst = s->burst;
	frames->burst_ns = s->rate ? (uint64_t)s->burst * SECOND_NS / s->rate : 0;
	frames->devices = s->devices;
	frames->sources = s->sources;
	frames->servers = s->server_count;
	frames->server_port = ntohs(s->servers.sin_port);
	frames->one_way = s->one_way;
	err = run_attach(run, "frames_servers", s->servers_net, s->servers_if);
	if (err < 0)
		return err;
	device = run_attach(run, "frames_devices", s->devices_net, s->devices_if);
	if (device < 0)
		return device;
	frames->through = (uint32_t)device;
	fputs("sending\n", stderr);
	sight.until_ns = clock_ns() + (uint64_t)s->seconds * SECOND_NS;
	err = run_send(run, frame, octets, stop, look, &sight);
	nanosleep(&(struct timespec){ .tv_nsec = ON_ITS_WAY_NS }, NULL);
	look(&sight);
	return err;
}

static int run_floor(struct run *run, const struct settings *s, const volatile sig_atomic_t *stop)
{
	char *other = strchr(s->floor, ','), *one = s->floor;
	struct timespec left = { .tv_sec = s->seconds };
	int indices[2];

	*other++ = '\0';
	for (int i = 0; i < 2; i++) {
		indices[i] = run_attach(run, "frames_floor", NULL, i ? other : one);
		if (indices[i] < 0)
			return indices[i];
	}
	for (int i = 0; i < 2 && !s->head.garbage; i++)
		run_frames(run)->floor[i] = (uint32_t)indices[i];
	fputs("forwarding\n", stderr);
	while (!*stop && nanosleep(&left, &left) != 0 && errno == EINTR)
		;
	return 0;
}

int main(int argc, char **argv)
{
	struct settings settings = { .head = { .octets = 100 },
				     .server_count = 3,
				     .devices = 10U << 24 | 16U << 16,
				     .sources = 1000,
				     .rate = 30000,
				     .burst = 16,
				     .seconds = MAX_SECONDS };
	volatile sig_atomic_t *stop;
	struct run *run = NULL;
	int err;

	std_files_open();
	if (read_options(&settings, argc, argv))
		return EXIT_USAGE;
	stop = stop_on_signal();
	err = run_new(&run);
	if (!err)
		err = settings.floor ? run_floor(run, &settings, stop) : run_all(run, &settings, stop);
	run_free(run);
	if (err)
		fprintf(stderr, "cidlb-frames: %s\n", strerror(-err));
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
