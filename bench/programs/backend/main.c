/* cidlb-backend: the reference CoAP server over DTLS with Connection IDs that cidlb can route. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/std_files.h"
#include "bench/lib/certificates.h"
#include "bench/lib/options.h"
#include "bench/lib/tunnel_keys.h"
#include "bench/programs/backend/cid_option.h"
#include "bench/programs/backend/handover.h"
#include "bench/programs/backend/server.h"

enum { EXIT_USAGE = 2, DEFAULT_CID_LENGTH = 6, DEFAULT_NOTIFY_MS = 1000 };

static const char usage[] =
	"usage: cidlb-backend --listen A:P --id N --psk ID:HEX [--cid-length N | --quic-lb CONFIG] [options]\n"
	"       cidlb-backend --listen A:P --id N --certificates FILE [options]\n"
	"       cidlb-backend --listen A:P --id N --plain [options]\n"
	"  --listen A:P       address to serve, [V6]:P for IPv6; required\n"
	"  --id N             server id in every CID handed out: its first octet, 0..255, or where --quic-lb has it; "
	"required\n"
	"  --psk ID:HEX       identity and key (1 to 32 octets) that all devices share; required without\n"
	"                     --plain and --certificates\n"
	"  --certificates FILE\n"
	"                     PEM: a key, its certificate, and those of who issues the devices' (default: none)\n"
	"  --cid-length N     octets, 1..20; 0: no CID (default 6)\n"
	"  --quic-lb CONFIG   CIDs of scheme quic-lb: rotation=0,server_id_length=2,nonce_length=6,key=@FILE, as in "
	"cidlb.conf;\n"
	"                     sessions loaded keep their CIDs, whatever config those are of, if they are of this "
	"length\n"
	"                     (default: --cid-length)\n"
	"  --plain            CoAP without DTLS\n"
	"  --notify-ms N      ms between notifications of /time, 1..86400000 (default 1000)\n"
	"  --report FILE      counters as JSON, at exit and on SIGUSR1 (default: standard output)\n"
	"  --sessions FILE    at exit, sessions go into it; at the start, those of the server before are taken out of "
	"it\n"
	"                     (default: they end with the server)\n"
	"  --steer FILE       its first line, if there is one, follows `up` in the answer to probes: drain, 75% "
	"(default: none)\n"
	"  --tunnel FILE      datagrams come through tunnels of cidlb; FILE has a line ID:HEX per key\n"
	"                     (default: they come as they are)\n";

struct arguments {
	struct server_options server;
	const char *report;   /* NULL: standard output */
	const char *sessions; /* NULL: they end with the server */
	struct lbcid_key *cid_key;
	char *certificates; /* NULL: none */
};

struct program {
	struct event_base *base;
	struct server *server;
	struct arguments arguments;
};

/* The key is after the last colon: identities are often URNs. */
static int read_psk(struct server_options *out, const char *text)
{
	const char *colon = strrchr(text, ':');
	size_t identity = colon ? (size_t)(colon - text) : 0;

	if (!identity || identity >= sizeof out->psk_identity ||
	    option_hex(out->psk_key, sizeof out->psk_key, &out->psk_key_len, colon + 1)) {
		fprintf(stderr, "--psk: accepted: IDENTITY:HEX, an identity of 1..%zu octets and a key of 1..%d\n",
			sizeof out->psk_identity - 1, SESSION_PSK_MAX);
		return -EINVAL;
	}
	memcpy(out->psk_identity, text, identity);
	out->psk_identity[identity] = '\0';
	return 0;
}

enum argument {
	OPT_LISTEN,
	OPT_ID,
	OPT_CID_LENGTH,
	OPT_QUIC_LB,
	OPT_PSK,
	OPT_CERTIFICATES,
	OPT_PLAIN,
	OPT_NOTIFY_MS,
	OPT_REPORT,
	OPT_SESSIONS,
	OPT_STEER,
	OPT_TUNNEL,
	OPT_HELP
};

static const struct option options[] = {
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "id", required_argument, NULL, OPT_ID },
	{ "cid-length", required_argument, NULL, OPT_CID_LENGTH },
	{ "quic-lb", required_argument, NULL, OPT_QUIC_LB },
	{ "psk", required_argument, NULL, OPT_PSK },
	{ "certificates", required_argument, NULL, OPT_CERTIFICATES },
	{ "plain", no_argument, NULL, OPT_PLAIN },
	{ "notify-ms", required_argument, NULL, OPT_NOTIFY_MS },
	{ "report", required_argument, NULL, OPT_REPORT },
	{ "sessions", required_argument, NULL, OPT_SESSIONS },
	{ "steer", required_argument, NULL, OPT_STEER },
	{ "tunnel", required_argument, NULL, OPT_TUNNEL },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static int read_tunnel(struct server_options *out, const char *file)
{
	const int err = tunnel_keys_read(&out->tunnel, file);

	if (err == -EINVAL)
		fprintf(stderr, "--tunnel: %s: accepted: 1..16 different lines ID:HEX, ids 0..255, keys of 16 octets\n",
			file);
	else if (err)
		fprintf(stderr, "--tunnel: %s: %s\n", file, strerror(-err));
	return err;
}

static int read_option(struct arguments *out, int option, const char *value)
{
	struct server_options *server = &out->server;
	uint64_t number;

	switch (option) {
	case OPT_LISTEN:
		return option_addr(&server->listen, "listen", value);
	case OPT_ID:
		if (option_number(&number, "id", value, 0, UINT32_MAX))
			return -EINVAL;
		server->id = (uint32_t)number;
		return 0;
	case OPT_CID_LENGTH:
		if (option_number(&number, "cid-length", value, 0, LBCID_MAX_OCTETS))
			return -EINVAL;
		server->cid.length = (uint8_t)number;
		return 0;
	case OPT_QUIC_LB:
		lbcid_key_free(out->cid_key);
		return cid_option_read(&server->cid, &out->cid_key, value);
	case OPT_PSK:
		return read_psk(server, value);
	case OPT_CERTIFICATES:
		free(out->certificates);
		out->certificates = NULL;
		return certificates_read(&out->certificates, value);
	case OPT_PLAIN:
		server->plain = true;
		return 0;
	case OPT_NOTIFY_MS:
		if (option_number(&number, "notify-ms", value, 1, 86400000))
			return -EINVAL;
		server->notify_ms = (uint32_t)number;
		return 0;
	case OPT_REPORT:
		out->report = value;
		return 0;
	case OPT_SESSIONS:
		out->sessions = value;
		return 0;
	case OPT_STEER:
		server->steer = value;
		return 0;
	case OPT_TUNNEL:
		return read_tunnel(server, value);
	case OPT_HELP:
		fputs(usage, stdout);
		exit(EXIT_SUCCESS);
	default:
		return -EINVAL; /* getopt_long() has said what */
	}
}

static uint32_t highest_id(const struct lbcid_config *cid)
{
	return cid->size < sizeof(uint32_t) ? (1U << 8 * cid->size) - 1 : UINT32_MAX;
}

static int read_arguments(struct arguments *out, int argc, char **argv)
{
	const struct lbcid_config node_id = { .scheme = LBCID_NODE_ID, .length = DEFAULT_CID_LENGTH, .size = 1 };
	bool given[OPT_HELP + 1] = { false };
	int option;

	*out = (struct arguments){ .server = { .cid = node_id, .notify_ms = DEFAULT_NOTIFY_MS } };
	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (read_option(out, option, optarg))
			return -EINVAL;
		given[option] = true;
	}
	if (optind < argc)
		return option_left_over(argv[optind]);
	out->server.certificates = out->certificates;
	if (!given[OPT_LISTEN])
		return option_missing("listen");
	else if (!given[OPT_ID])
		return option_missing("id");
	else if (out->server.id > highest_id(&out->server.cid))
		fprintf(stderr, "--id: %u; accepted: 0..%u\n", out->server.id, highest_id(&out->server.cid));
	else if (given[OPT_PSK] + given[OPT_CERTIFICATES] + given[OPT_PLAIN] != 1)
		fputs("one of --psk IDENTITY:HEX, --certificates FILE and --plain is required\n", stderr);
	else if (given[OPT_SESSIONS] && !given[OPT_PSK])
		fputs("--sessions needs --psk: no others are kept\n", stderr);
	else if (given[OPT_QUIC_LB] && given[OPT_PLAIN])
		fputs("--quic-lb needs DTLS: there are no CIDs without DTLS\n", stderr);
	else if (given[OPT_QUIC_LB] && given[OPT_CID_LENGTH])
		fputs("--cid-length does not go with --quic-lb, which has lengths of its own\n", stderr);
	else
		return 0;
	return -EINVAL;
}

static int report(const struct program *program)
{
	const struct arguments *arguments = &program->arguments;
	int err = arguments->report ? report_save(arguments->report, arguments->server.id, &program->server->report)
				    : report_write(stdout, arguments->server.id, &program->server->report);

	if (err)
		fprintf(stderr, "cannot write the report: %s\n", strerror(-err));
	return err;
}

static void on_report(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	report(ctx);
}

static void on_stop(evutil_socket_t fd, short what, void *ctx)
{
	struct program *program = ctx;

	(void)fd;
	(void)what;
	event_base_loopbreak(program->base);
}

static int serve(struct program *program)
{
	const struct arguments *arguments = &program->arguments;
	static const struct {
		int number;
		event_callback_fn handler;
	} signals[] = { { SIGTERM, on_stop }, { SIGINT, on_stop }, { SIGUSR1, on_report } };
	enum { SIGNALS = sizeof signals / sizeof *signals };
	struct event *handlers[SIGNALS] = { NULL };
	int err = 0;

	for (size_t i = 0; i < SIGNALS && !err; i++) {
		handlers[i] = evsignal_new(program->base, signals[i].number, signals[i].handler, program);
		if (!handlers[i] || event_add(handlers[i], NULL))
			err = -ENOMEM;
	}
	/* Signals are caught during both, since sessions that are in no file must not end with the process. The socket
	 * is bound already. So no other server is at this address, and what devices send meanwhile waits in it. */
	if (!err && arguments->sessions)
		handover_load(program->server, &arguments->server, arguments->sessions, stderr);
	if (!err && event_base_dispatch(program->base) < 0)
		err = -EIO;
	if (!err && arguments->sessions)
		err = handover_save(program->server, &arguments->server, arguments->sessions, stderr);
	int reported = report(program);
	for (size_t i = 0; i < SIGNALS; i++)
		if (handlers[i])
			event_free(handlers[i]);
	return err ? err : reported;
}

int main(int argc, char **argv)
{
	struct program program = { 0 };
	char text[ADDR_TEXT_OCTETS];

	std_files_open();
	if (read_arguments(&program.arguments, argc, argv)) {
		free(program.arguments.certificates);
		lbcid_key_free(program.arguments.cid_key);
		return EXIT_USAGE;
	}
	const struct server_options *server = &program.arguments.server;
	program.base = event_base_new();
	int err = program.base ? server_new(&program.server, program.base, server) : -ENOMEM;
	if (err) {
		fprintf(stderr, "cannot serve %s: %s\n", addr_format(&server->listen, text), strerror(-err));
	} else {
		fprintf(stderr, "server %u: %s on %s\n", server->id, server->plain ? "CoAP" : "CoAP over DTLS",
			addr_format(&server->listen, text));
		err = serve(&program);
	}
	server_free(program.server);
	free(program.arguments.certificates);
	lbcid_key_free(program.arguments.cid_key);
	if (program.base)
		event_base_free(program.base);
	libevent_global_shutdown();
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
