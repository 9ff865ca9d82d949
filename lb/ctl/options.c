#include "ctl/options.h"

#include "conf/conf.h"

#define AT(member) offsetof(struct ctl_options, member)

const struct ctl_option ctl_options[CTL_OPTIONS] = {
	[CTL_CID] = { "--cid", 0, "HEX", "of a session", AT(cid) },
	[CTL_FROM] = { "--from", 0, "IP[:PORT]", "the device's address; for route with its port", AT(from) },
	[CTL_LIMIT] = { "--limit", 0, "N", "flows shown, 1..1000 (default 100)", AT(limit) },
	[CTL_SORT] = { "--sort", 0, "KEY", "flows: moves, octets or last; backends: name, flows, octets, last or probe",
		       AT(sort) },
	[CTL_OLDER] = { "--older", 0, "TIME", "only flows whose device has been silent for longer, as in 24h",
			AT(older) },
	[CTL_DOWN] = { "--down", 0, NULL, "only servers that are down", AT(down) },
	[CTL_FOLLOW] = { "--follow", 0, NULL, "goes on with what happens from now on", AT(follow) },
	[CTL_FOR] = { "--for", 0, "TIME", "that a trace lasts, as in 60s or 5m, up to an hour (default 60s)",
		      AT(duration) },
	[CTL_PCAP] = { "--pcap", 0, "FILE", "writes what passes between devices and cidlb to FILE, for Wireshark",
		       AT(pcap) },
	[CTL_WAIT] = { "--wait", 0, NULL, "until the server may be stopped", AT(wait) },
	[CTL_TIMEOUT_OPTION] = { "--timeout", 0, "TIME",
				 "that --wait lasts at most, as in 90s, 30m or 26h (default: without end)",
				 AT(timeout) },
	[CTL_LISTENER] = { "--listener", 0, "NAME", "where the datagram arrives (default: the only listener)",
			   AT(listener) },
	[CTL_POOL] = { "--pool", 0, "POOL", "of the CID (default: the only pool whose CIDs carry server ids)",
		       AT(pool) },
	[CTL_ROTATION] = { "--rotation", 0, "N", "of the config that mints (default: the first)", AT(rotation) },
	[CTL_COUNT] = { "--count", 0, "N", "CIDs minted, 1..1000 (default 1)", AT(count) },
	[CTL_CONFIG] = { "--config", 'c', "FILE", "configuration (default /etc/cidlb/cidlb.conf)", AT(file) },
	[CTL_SOCKET] = { "--socket", 0, "PATH", "of the running cidlb (default " CONF_SOCKET ")", AT(socket) },
	[CTL_JSON] = { "--json", 0, NULL, "answer in JSON", AT(json) },
	[CTL_VERSION] = { "--version", 'V', NULL, "print the version", AT(version) },
	[CTL_HELP] = { "--help", 'h', NULL, "print this, or what there is to say of one command", AT(help) },
};

static void *place_of(const struct ctl_options *options, size_t number)
{
	return (char *)(uintptr_t)options + ctl_options[number].at;
}

unsigned ctl_options_given(const struct ctl_options *options)
{
	unsigned given = 0;

	for (size_t i = 0; i < CTL_CONFIG; i++)
		if (ctl_options[i].argument ? *(const char **)place_of(options, i) != NULL
					    : *(bool *)place_of(options, i))
			given |= 1u << i;
	return given;
}

void ctl_options_set(struct ctl_options *options, enum ctl_option_number number, const char *text)
{
	if (ctl_options[number].argument)
		*(const char **)place_of(options, number) = text;
	else
		*(bool *)place_of(options, number) = true;
}
