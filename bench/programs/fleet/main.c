#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/std_files.h"
#include "bench/lib/certificates.h"
#include "bench/lib/options.h"
#include "bench/programs/fleet/fleet.h"
#include "bench/programs/fleet/reading.h"
#include "bench/programs/fleet/report.h"
#include "common/coap.h"

enum { EXIT_USAGE = 2, MAX_DEVICES = 100000, MAX_ADDRESSES = 65536, MAX_IDENTITY = 128 };

static const char usage[] =
	"usage: cidlb-fleet --target A:P --psk ID:HEX [options]\n"
	"       cidlb-fleet --target A:P --certificates FILE [options]\n"
	"       cidlb-fleet --target A:P --plain [options]\n"
	"\n"
	"Simulated devices behind NATs that forget. Ends with a line of JSON; exits 1 if a device lost its first "
	"session.\n"
	"  --target A:P        the server, or the balancer in front of it; [V6]:P for IPv6; required\n"
	"  --psk ID:HEX        identity and key of all devices, 1..32 octets; required without --plain and\n"
	"                      --certificates\n"
	"  --certificates FILE PEM of all devices, in place of a PSK: a key, its certificate, and those of who issues\n"
	"                      the servers' (default: none)\n"
	"  --plain             CoAP without DTLS\n"
	"  --no-cid            do not offer Connection IDs\n"
	"  --devices N         1..100000 (default 1)\n"
	"  --ramp-ms N         ms from one device's start to the next one's, 0..60000 (default 2)\n"
	"  --seed N            of losses and jitter, any number (default 1)\n"
	"moves:\n"
	"  --rebinds N         address changes of each device, 0..1000000 (default 0; without limit with --duration)\n"
	"  --rebind-every S    seconds between them (default: they come by --nat-timeout alone)\n"
	"  --nat-timeout S     change it after S seconds without a datagram from the device (default: never)\n"
	"  --from A            an address of this host that they leave from, without a port (default: the kernel "
	"chooses)\n"
	"  --addresses N       and from the next ones: N in all, any of them after each move, 1..65536 (default 1)\n"
	"traffic:\n"
	"  --interval-ms N     ms between readings, 1..86400000 (default 1000; with --nat-timeout one and a half times "
	"that)\n"
	"  --path PATH         readings are GETs of it (default: POSTs to /echo)\n"
	"  --observe           observe /time\n"
	"  --message-octets N  octets of each reading as a CoAP message, 17..128 (default: some 40 of JSON)\n"
	"  --round-trip-ms N   ms that a datagram and its answer take over the radio, in order: half to one and a "
	"half\n"
	"                      times that, 0..60000 (default 0)\n"
	"  --loss PCT          % of datagrams that are lost, each way, 0..100 (default 0)\n"
	"  --ack-timeout-ms N  ms until the first repetition of a request, and of a handshake if less than 1000, "
	"1..600000\n"
	"                      (default 2000)\n"
	"  --give-up N         exchanges without any answer until a device makes a new session, 1..1000000 (default "
	"2)\n"
	"end:\n"
	"  --duration S        run for so many seconds (default: until every device has made its rebinds)\n"
	"  --max-seconds S     end after so many seconds, whatever happens (default 600)\n"
	"  --story FILE        a line of JSON each second, for each session, and for each move of device 17 (default: "
	"none)\n";

enum option_id {
	OPT_TARGET = 1,
	OPT_PSK,
	OPT_CERTIFICATES,
	OPT_PLAIN,
	OPT_NO_CID,
	OPT_DEVICES,
	OPT_RAMP,
	OPT_SEED,
	OPT_REBINDS,
	OPT_REBIND_EVERY,
	OPT_NAT_TIMEOUT,
	OPT_FROM,
	OPT_ADDRESSES,
	OPT_INTERVAL,
	OPT_PATH,
	OPT_OBSERVE,
	OPT_MESSAGE_OCTETS,
	OPT_ROUND_TRIP,
	OPT_LOSS,
	OPT_ACK_TIMEOUT,
	OPT_GIVE_UP,
	OPT_DURATION,
	OPT_MAX_SECONDS,
	OPT_STORY,
	OPT_HELP,
};

static const struct option options[] = {
	{ "target", required_argument, NULL, OPT_TARGET },
	{ "psk", required_argument, NULL, OPT_PSK },
	{ "certificates", required_argument, NULL, OPT_CERTIFICATES },
	{ "plain", no_argument, NULL, OPT_PLAIN },
	{ "no-cid", no_argument, NULL, OPT_NO_CID },
	{ "devices", required_argument, NULL, OPT_DEVICES },
	{ "ramp-ms", required_argument, NULL, OPT_RAMP },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "rebinds", required_argument, NULL, OPT_REBINDS },
	{ "rebind-every", required_argument, NULL, OPT_REBIND_EVERY },
	{ "nat-timeout", required_argument, NULL, OPT_NAT_TIMEOUT },
	{ "from", required_argument, NULL, OPT_FROM },
	{ "addresses", required_argument, NULL, OPT_ADDRESSES },
	{ "interval-ms", required_argument, NULL, OPT_INTERVAL },
	{ "path", required_argument, NULL, OPT_PATH },
	{ "observe", no_argument, NULL, OPT_OBSERVE },
	{ "message-octets", required_argument, NULL, OPT_MESSAGE_OCTETS },
	{ "round-trip-ms", required_argument, NULL, OPT_ROUND_TRIP },
	{ "loss", required_argument, NULL, OPT_LOSS },
	{ "ack-timeout-ms", required_argument, NULL, OPT_ACK_TIMEOUT },
	{ "give-up", required_argument, NULL, OPT_GIVE_UP },
	{ "duration", required_argument, NULL, OPT_DURATION },
	{ "max-seconds", required_argument, NULL, OPT_MAX_SECONDS },
	{ "story", required_argument, NULL, OPT_STORY },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

struct command {
	struct fleet_settings fleet;
	uint64_t devices, ramp_ms_each;
	bool has_rebinds;
	char identity[MAX_IDENTITY];
	const char *story;
};

static int read_psk(struct command *c, const char *text)
{
	struct fleet_settings *fleet = &c->fleet;
	const char *colon = strrchr(text, ':');
	size_t identity_len = colon ? (size_t)(colon - text) : 0;
	if (identity_len < 1 || identity_len >= sizeof c->identity)
		goto refuse;
	memcpy(c->identity, text, identity_len);
	fleet->psk_identity = c->identity;
	if (option_hex(fleet->psk_key, sizeof fleet->psk_key, &fleet->psk_key_len, colon + 1))
		goto refuse;
	return 0;
refuse:
	fputs("--psk: accepted: ID:HEX, a key of 1..32 octets\n", stderr);
	return -EINVAL;
}

static int read_from(struct addr *from, const char *text)
{
	if (addr_parse_ip(from, text) || !addr_is_unicast(from)) {
		fputs("--from: accepted: an IP address of this host\n", stderr);
		return -EINVAL;
	}
	return 0;
}

static int read_path(const char **path, const char *text)
{
	if (text[0] != '/' || strlen(text) >= COAP_PATH_MAX) {
		fputs("--path: accepted: a path from /\n", stderr);
		return -EINVAL;
	}
	*path = text;
	return 0;
}

static int read_option(struct command *c, int id, const char *name, const char *text)
{
	struct fleet_settings *fleet = &c->fleet;
	struct device_settings *device = &fleet->device;
	switch (id) {
	case OPT_TARGET:
		return option_addr(&device->target, name, text);
	case OPT_PSK:
		return read_psk(c, text);
	case OPT_CERTIFICATES:
		free(fleet->certificates);
		fleet->certificates = NULL;
		return certificates_read(&fleet->certificates, text);
	case OPT_PLAIN:
		device->plain = true;
		return 0;
	case OPT_NO_CID:
		fleet->offer_cid = false;
		return 0;
	case OPT_DEVICES:
		return option_number(&c->devices, name, text, 1, MAX_DEVICES);
	case OPT_RAMP:
		return option_number(&c->ramp_ms_each, name, text, 0, 60000);
	case OPT_SEED:
		return option_number(&fleet->seed, name, text, 0, UINT64_MAX);
	case OPT_REBINDS:
		c->has_rebinds = true;
		return option_number(&device->rebinds, name, text, 0, 1000000);
	case OPT_REBIND_EVERY:
		return option_seconds(&device->rebind_every_ms, name, text);
	case OPT_NAT_TIMEOUT:
		return option_seconds(&device->nat_timeout_ms, name, text);
	case OPT_FROM:
		return read_from(&device->from, text);
	case OPT_ADDRESSES:
		return option_number(&device->addresses, name, text, 1, MAX_ADDRESSES);
	case OPT_INTERVAL:
		return option_number(&device->interval_ms, name, text, 1, 86400000);
	case OPT_PATH:
		return read_path(&device->path, text);
	case OPT_OBSERVE:
		device->observe = true;
		return 0;
	case OPT_MESSAGE_OCTETS:
		return option_number(&device->message_octets, name, text, READING_OCTETS_MIN, READING_OCTETS_MAX);
	case OPT_ROUND_TRIP:
		return option_number(&device->round_trip_ms, name, text, 0, 60000);
	case OPT_LOSS:
		return option_decimal(&device->loss, name, text, 0, 100);
	case OPT_ACK_TIMEOUT:
		return option_number(&device->ack_timeout_ms, name, text, 1, 600000);
	case OPT_GIVE_UP:
		return option_number(&device->give_up, name, text, 1, 1000000);
	case OPT_DURATION:
		return option_seconds(&fleet->duration_ms, name, text);
	case OPT_MAX_SECONDS:
		return option_seconds(&fleet->max_ms, name, text);
	case OPT_STORY:
		c->story = text;
		return 0;
	case OPT_HELP:
		fputs(usage, stdout);
		exit(EXIT_SUCCESS);
	default:
		return -EINVAL;
	}
}

/* Defaults that depend on other options, and options that make no sense together. */
static int check_command(struct command *c)
{
	struct fleet_settings *fleet = &c->fleet;
	struct device_settings *device = &fleet->device;
	bool moves = device->rebind_every_ms || device->nat_timeout_ms;
	if (!device->target.port)
		return option_missing("target");
	if (!device->plain && !fleet->psk_key_len && !fleet->certificates)
		return option_missing("psk");
	if (device->addresses > 1 && addr_is_wildcard(&device->from)) {
		fputs("--addresses: needs --from\n", stderr);
		return -EINVAL;
	}
	if (!addr_is_wildcard(&device->from) && addr_is_v4(&device->from) != addr_is_v4(&device->target)) {
		fputs("--from: accepted: an address of the family of --target\n", stderr);
		return -EINVAL;
	}
	if (device->rebinds && !moves) {
		fputs("--rebinds: needs --rebind-every or --nat-timeout\n", stderr);
		return -EINVAL;
	}
	if (!device->interval_ms)
		device->interval_ms = device->nat_timeout_ms ? device->nat_timeout_ms * 3 / 2 : 1000;
	if (device->rebinds && !device->rebind_every_ms && device->interval_ms * 5 / 4 <= device->nat_timeout_ms) {
		fputs("--interval-ms: readings so frequent keep the NAT from ever forgetting; accepted: more than "
		      "--nat-timeout\n",
		      stderr);
		return -EINVAL;
	}
	if (!c->has_rebinds && fleet->duration_ms)
		device->rebinds = UINT64_MAX;
	fleet->devices = (unsigned)c->devices;
	fleet->ramp_ms = c->devices * c->ramp_ms_each;
	return 0;
}

static int read_command(struct command *c, int argc, char **argv)
{
	int id, at;
	while ((id = getopt_long(argc, argv, "", options, &at)) != -1) {
		if (id == '?' || read_option(c, id, options[at].name, optarg))
			return -EINVAL;
	}
	if (optind != argc)
		return option_left_over(argv[optind]);
	return check_command(c);
}

/* A descriptor per device. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	struct command command = {
		.fleet = { .device = { .ack_timeout_ms = 2000, .give_up = 2, .addresses = 1 },
			   .seed = 1,
			   .max_ms = 600000,
			   .offer_cid = true },
		.devices = 1,
		.ramp_ms_each = 2,
	};
	std_files_open();
	if (read_command(&command, argc, argv)) {
		free(command.fleet.certificates);
		return EXIT_USAGE;
	}
	if (command.story) {
		command.fleet.story = fopen(command.story, "we");
		if (!command.fleet.story) {
			fprintf(stderr, "--story: %s: %s\n", command.story, strerror(errno));
			free(command.fleet.certificates);
			return EXIT_USAGE;
		}
	}
	raise_descriptor_limit();
	signal(SIGPIPE, SIG_IGN);
	struct fleet_result result;
	int err = fleet_run(&result, &command.fleet);
	free(command.fleet.certificates);
	if (command.fleet.story)
		fclose(command.fleet.story);
	if (err) {
		fprintf(stderr, "cannot start: %s\n", strerror(-err));
		return EXIT_FAILURE;
	}
	report_result(stdout, &result);
	if (result.tally.refused)
		fprintf(stderr, "%llu datagrams could not be sent\n", (unsigned long long)result.tally.refused);
	return result.tally.survived == result.devices ? EXIT_SUCCESS : EXIT_FAILURE;
}
