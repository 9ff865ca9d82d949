#include "ctl/command_table.h"

#include "ctl/cid.h"
#include "ctl/device.h"
#include "ctl/drain.h"
#include "ctl/events.h"
#include "ctl/help.h"
#include "ctl/live_command.h"
#include "ctl/route.h"
#include "ctl/trace.h"

#define TAKES(option) (1u << CTL_##option)

/* In the synopsis: the command asks a running cidlb. */
static const char of_running[] = "[--socket PATH] [--json]";

const struct ctl_command ctl_commands[] = {
	{ .name = "status",
	  .others = of_running,
	  .help = "the running cidlb: listeners, pools, flows, verdicts",
	  .run = live_command_run },
	{ .name = "backends",
	  .optional = 1,
	  .synopsis = "[NAME] [--down] [--sort KEY]",
	  .others = of_running,
	  .help = "health, state and traffic of every server, of one, or of those that are down. Sorted by name, or\n"
		  "what is most comes first: flows, octets (both ways), last (the longest without a CID), probe (the\n"
		  "slowest)",
	  .takes = TAKES(DOWN) | TAKES(SORT),
	  .run = live_command_run },
	{ .name = "flows",
	  .synopsis = "[--cid HEX | --from IP[:PORT]] [--older TIME] [--sort KEY] [--limit N]",
	  .others = of_running,
	  .help = "where devices are and which way they go: all, one session's, or one address's. Sorted, what is "
		  "most\n"
		  "comes first: moves (how often it went on elsewhere), octets (both ways), last (the longest silent)",
	  .takes = TAKES(CID) | TAKES(FROM) | TAKES(LIMIT) | TAKES(OLDER) | TAKES(SORT),
	  .excludes = TAKES(CID) | TAKES(FROM),
	  .run = live_command_run },
	{ .name = "device",
	  .arguments = 1,
	  .synopsis = "IP[:PORT]|HEX",
	  .others = of_running,
	  .help = "one meter is dark: what is known of the device with this address or CID, in words: its server, "
		  "when\n"
		  "it last spoke and was answered, how often it moved, its handshakes, what of it was dropped and why",
	  .run = device_run },
	{ .name = "events",
	  .synopsis = "[--follow]",
	  .others = of_running,
	  .help = "what has happened to servers (up, down, drained, added, …), server ids, the configuration and\n"
		  "this node: the last such lines of the log, each a line of JSON",
	  .takes = TAKES(FOLLOW),
	  .run = events_run },
	{ .name = "trace",
	  .synopsis = "--cid HEX | --from IP[:PORT] [--for TIME] [--pcap FILE]",
	  .others = of_running,
	  .help = "shows the datagrams of a session, or of an address, as they pass: where from, who gets them,\n"
		  "their records. A handshake has no CID yet: trace its address. One trace runs at a time; of a\n"
		  "long datagram the first 256 octets are kept, and nothing that says who the device is",
	  .takes = TAKES(FOR) | TAKES(PCAP),
	  .needs = TAKES(CID) | TAKES(FROM),
	  .excludes = TAKES(CID) | TAKES(FROM),
	  .run = trace_run },
	{ .name = "drain",
	  .arguments = 1,
	  .synopsis = "NAME [--wait [--timeout TIME]]",
	  .others = of_running,
	  .help = "the server NAME (POOL/NAME where several pools have it) keeps its sessions, gets no new ones, "
		  "until\n"
		  "`ready` or `maint`. With --wait it returns once the server may be stopped: when no flow leads\n"
		  "there any more, and no CID has led there for cid_idle_s of its pool (a day, if nothing else is\n"
		  "configured) while it drained and cidlb watched",
	  .takes = TAKES(WAIT) | TAKES(TIMEOUT_OPTION),
	  .run = drain_run },
	{ .name = "ready",
	  .arguments = 1,
	  .synopsis = "NAME",
	  .others = of_running,
	  .help = "it gets new sessions again",
	  .run = live_command_run },
	{ .name = "maint",
	  .arguments = 1,
	  .synopsis = "NAME",
	  .others = of_running,
	  .help = "it gets nothing",
	  .run = live_command_run },
	{ .name = "weight",
	  .arguments = 2,
	  .synopsis = "NAME N",
	  .others = of_running,
	  .help = "its share of new sessions, 0..256; 0: none\n"
		  "drain, ready, maint and weight outlive reloads, and restarts where there is a state_file, else\n"
		  "they last until cidlb ends. A change of the server's entry in the configuration ends them.",
	  .run = live_command_run },
	{ .name = "reload",
	  .others = of_running,
	  .help = "reads the configuration again, and says what it changes and what only a restart takes on; a wrong\n"
		  "one changes nothing: its mistakes, exit status 1",
	  .run = live_command_run },
	{ .name = "leave",
	  .others = of_running,
	  .help = "lame duck: /readyz answers 503, so that devices are led to other nodes; whatever comes is served.\n"
		  "It outlives restarts as drain does",
	  .run = live_command_run },
	{ .name = "join", .others = of_running, .help = "takes that back", .run = live_command_run },
	{ .name = "route",
	  .arguments = 1,
	  .synopsis = "HEX|- [--from IP:PORT] [-c FILE] [--listener NAME] [--json]",
	  .help = "explains where one datagram would go: the records seen, the CID and what the pool's layout\n"
		  "makes of it, the verdict and the backend, with every backend up. HEX may hold spaces and\n"
		  "colons; - reads it from stdin. Without --from, a decision by address is left open.",
	  .takes = TAKES(FROM) | TAKES(LISTENER),
	  .run = route_run },
	{ .name = "cid mint",
	  .arguments = 2,
	  .synopsis = "POOL NAME|ID [--rotation N] [--count N] [-c FILE] [--json]",
	  .help = "CIDs as the server NAME, or the one with the id ID (a number, or 0x and hex), hands them out",
	  .takes = TAKES(ROTATION) | TAKES(COUNT),
	  .run = cid_mint_run },
	{ .name = "cid open",
	  .arguments = 1,
	  .synopsis = "HEX [--pool POOL] [-c FILE] [--json]",
	  .help = "whose CID that is, by the configuration; exit status 1 if it is nobody's",
	  .takes = TAKES(POOL),
	  .run = cid_open_run },
	{ .name = "help",
	  .optional = 2,
	  .synopsis = "[COMMAND]",
	  .help = "this, or what there is to say of one command, as COMMAND --help",
	  .run = help_run },
};

const size_t ctl_command_count = sizeof ctl_commands / sizeof *ctl_commands;

unsigned ctl_command_takes(const struct ctl_command *command)
{
	const unsigned own = command->takes | command->needs;

	if (command->others)
		return own | TAKES(SOCKET) | TAKES(JSON);
	return command->run == help_run ? own : own | TAKES(CONFIG) | TAKES(JSON);
}
