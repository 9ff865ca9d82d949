#include "ctl/commands.h"

#include <string.h>

#include "conf/conf.h"
#include "ctl/cid.h"
#include "ctl/live_command.h"
#include "ctl/route.h"
#include "ctl/trace.h"

/* Options that not every command takes. */
enum {
	FROM = 1 << 0,
	CID = 1 << 1,
	LIMIT = 1 << 2,
	LISTENER = 1 << 3,
	FOR = 1 << 4,
	PCAP = 1 << 5,
	POOL = 1 << 6,
	ROTATION = 1 << 7,
	COUNT = 1 << 8,
};

/* In --help: the command asks a running cidlb. */
static const char of_running[] = "[--socket PATH] [--json]";

struct command {
	const char *name;      /* one word or two */
	int arguments;         /* words behind the name */
	const char *synopsis;  /* of the arguments, and of options that are its own */
	const char *others;    /* in --help, behind that; NULL: none. Commands that agree in both share a line */
	const char *help;      /* lines after the first are indented as they are to stand there */
	unsigned takes, needs; /* options; what is needed is taken */
	unsigned excludes;     /* not two of these at once */
	ctl_run run;
};

static const struct command commands[] = {
	{ .name = "status",
	  .others = of_running,
	  .help = "the running cidlb: listeners, pools, flows, verdicts",
	  .takes = FROM | LISTENER,
	  .run = live_command_run },
	{ .name = "backends",
	  .others = of_running,
	  .help = "health, state and traffic of every server",
	  .takes = FROM | LISTENER,
	  .run = live_command_run },
	{ .name = "flows",
	  .synopsis = "[--cid HEX | --from IP[:PORT]] [--limit N]",
	  .others = of_running,
	  .help = "where devices are and which way they go: all, one session's, or one address's",
	  .takes = CID | FROM | LIMIT | LISTENER,
	  .excludes = CID | FROM,
	  .run = live_command_run },
	{ .name = "trace",
	  .synopsis = "--cid HEX [--for TIME] [--pcap FILE]",
	  .others = of_running,
	  .help = "shows the datagrams of a session as they pass: where from, who gets them, their records. One\n"
		  "          trace runs at a time; of a long datagram the first 256 octets are kept",
	  .takes = FOR | PCAP | LISTENER,
	  .needs = CID,
	  .run = trace_run },
	{ .name = "drain",
	  .arguments = 1,
	  .synopsis = "NAME",
	  .others = of_running,
	  .help = "the server NAME (POOL/NAME where several pools have it) keeps its sessions, gets no new ones",
	  .takes = FROM | LISTENER,
	  .run = live_command_run },
	{ .name = "ready",
	  .arguments = 1,
	  .synopsis = "NAME",
	  .others = of_running,
	  .help = "it gets new sessions again",
	  .takes = FROM | LISTENER,
	  .run = live_command_run },
	{ .name = "maint",
	  .arguments = 1,
	  .synopsis = "NAME",
	  .others = of_running,
	  .help = "it gets nothing",
	  .takes = FROM | LISTENER,
	  .run = live_command_run },
	{ .name = "weight",
	  .arguments = 2,
	  .synopsis = "NAME N",
	  .others = of_running,
	  .help = "its share of new sessions, 0..256; 0: none\n"
		  "          All four outlive restarts where there is a state_file, else they last until cidlb\n"
		  "          ends. A change of the server's entry in the configuration ends them.",
	  .takes = FROM | LISTENER,
	  .run = live_command_run },
	{ .name = "reload",
	  .others = of_running,
	  .help = "reads the configuration again; a wrong one changes nothing",
	  .takes = FROM | LISTENER,
	  .run = live_command_run },
	{ .name = "route",
	  .arguments = 1,
	  .synopsis = "HEX|- [--from IP:PORT] [-c FILE] [--listener NAME] [--json]",
	  .help = "explains where one datagram would go: the records seen, the CID and what the pool's layout\n"
		  "          makes of it, the verdict and the backend, with every backend up. HEX may hold spaces and\n"
		  "          colons; - reads it from stdin. Without --from, a decision by address is left open.",
	  .takes = FROM | LISTENER,
	  .run = route_run },
	{ .name = "cid mint",
	  .arguments = 2,
	  .synopsis = "POOL NAME|ID [--rotation N] [--count N] [-c FILE] [--json]",
	  .help = "CIDs as the server NAME, or the one with the id ID (a number, or 0x and hex), hands them out",
	  .takes = ROTATION | COUNT,
	  .run = cid_mint_run },
	{ .name = "cid open",
	  .arguments = 1,
	  .synopsis = "HEX [--pool POOL] [-c FILE] [--json]",
	  .help = "whose CID that is, by the configuration; exit status 1 if it is nobody's",
	  .takes = POOL,
	  .run = cid_open_run },
};

enum { COMMANDS = sizeof commands / sizeof *commands, COLUMN = 34 /* of `others`, where there is room */ };

static const char options_help[] =
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

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* Whether two commands share a line of the synopsis. */
static bool is_alike(const struct command *a, const struct command *b)
{
	return a->others && same_text(a->others, b->others) && same_text(a->synopsis, b->synopsis);
}

static bool is_first_of_its_line(size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (is_alike(&commands[i], &commands[at]))
			return false;
	return true;
}

static void print_synopsis(size_t at, FILE *out)
{
	const struct command *command = &commands[at];
	int column = fprintf(out, "%s", command->name);

	for (size_t i = at + 1; i < COMMANDS; i++)
		if (is_alike(command, &commands[i]))
			column += fprintf(out, " | %s", commands[i].name);
	if (command->synopsis)
		column += fprintf(out, " %s", command->synopsis);
	if (command->others)
		fprintf(out, "%*s %s", column < COLUMN ? COLUMN - column : 0, "", command->others);
	fputc('\n', out);
}

void commands_print_usage(FILE *out)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		if (!is_first_of_its_line(i))
			continue;
		fputs(i == 0 ? "usage: cidlbctl " : "       cidlbctl ", out);
		print_synopsis(i, out);
	}
	fputs("       cidlbctl -V | --help\n\n", out);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "%-9s %s\n", commands[i].name, commands[i].help);
	fprintf(out, "\n%s", options_help);
}

/* How many words the name of `command` is, if `words` begins with it; else 0. */
static int match(const struct command *command, int count, char **words)
{
	const char *space = strchr(command->name, ' ');
	const size_t len = space ? (size_t)(space - command->name) : strlen(command->name);

	if (count < (space ? 2 : 1) || strlen(words[0]) != len || strncmp(words[0], command->name, len) != 0)
		return 0;
	if (!space)
		return 1;
	return strcmp(words[1], space + 1) == 0 ? 2 : 0;
}

static unsigned given(const struct ctl_options *options)
{
	return (options->from ? FROM : 0u) | (options->cid ? CID : 0u) | (options->limit ? LIMIT : 0u) |
	       (options->listener ? LISTENER : 0u) | (options->duration ? FOR : 0u) | (options->pcap ? PCAP : 0u) |
	       (options->pool ? POOL : 0u) | (options->rotation ? ROTATION : 0u) | (options->count ? COUNT : 0u);
}

static bool takes(const struct command *command, unsigned options)
{
	const unsigned exclusive = options & command->excludes;

	return !(options & ~(command->takes | command->needs)) && (options & command->needs) == command->needs &&
	       !(exclusive & (exclusive - 1));
}

enum ctl_exit commands_run(int count, char **words, const struct ctl_options *options)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		const struct command *command = &commands[i];
		const int name = match(command, count, words);

		if (name > 0 && count == name + command->arguments && takes(command, given(options)))
			return command->run(words + name - 1, options);
	}
	commands_print_usage(stderr);
	return CTL_USAGE;
}
