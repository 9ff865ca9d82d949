#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/std_files.h"
#include "bench/lib/options.h"
#include "bench/programs/relay/relay.h"

enum { EXIT_USAGE = 2 };

static const char usage[] =
	"usage: cidlb-relay --listen A:P --target A:P [options]\n"
	"\n"
	"A NAT between devices and a server, that forgets.\n"
	"  --listen A:P   where devices send to; [V6]:P for IPv6; required\n"
	"  --target A:P   where their datagrams go, from a port per device; required\n"
	"  --timeout S    forget a device's port after S seconds without a datagram from it (default: never)\n"
	"  --rebind S     forget it S seconds after it was made, regardless (default: never)\n"
	"  --loss PCT     % of datagrams that are lost, each way, 0..100 (default 0)\n"
	"  --seed N       of the losses, any number (default 1)\n"
	"  --max N        devices known at a time, 1..1000000 (default 10000)\n"
	"SIGUSR1 forgets every port at once; SIGTERM ends it with a line of JSON.\n";

static int read_option(struct relay_settings *s, int option, const char *name, const char *text)
{
	uint64_t number;
	switch (option) {
	case 'l':
		return option_addr(&s->listen, name, text);
	case 't':
		return option_addr(&s->target, name, text);
	case 'o':
		return option_seconds(&s->timeout_ms, name, text);
	case 'r':
		return option_seconds(&s->rebind_ms, name, text);
	case 'p':
		return option_decimal(&s->loss, name, text, 0, 100);
	case 's':
		return option_number(&s->seed, name, text, 0, UINT64_MAX);
	case 'm':
		if (option_number(&number, name, text, 1, 1000000))
			return -EINVAL;
		s->max = (size_t)number;
		return 0;
	case 'h':
		fputs(usage, stdout);
		exit(EXIT_SUCCESS);
	default:
		return -EINVAL;
	}
}

static int read_options(struct relay_settings *s, int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "target", required_argument, NULL, 't' },
		{ "timeout", required_argument, NULL, 'o' },
		{ "rebind", required_argument, NULL, 'r' },
		{ "loss", required_argument, NULL, 'p' },
		{ "seed", required_argument, NULL, 's' },
		{ "max", required_argument, NULL, 'm' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option, at;
	while ((option = getopt_long(argc, argv, "", options, &at)) != -1) {
		if (option == '?' || read_option(s, option, options[at].name, optarg))
			return -EINVAL;
	}
	if (optind != argc)
		return option_left_over(argv[optind]);
	if (!s->listen.port)
		return option_missing("listen");
	return s->target.port ? 0 : option_missing("target");
}

static void on_forget(evutil_socket_t fd, short what, void *relay)
{
	(void)fd, (void)what;
	relay_forget_all(relay);
}

static void on_end(evutil_socket_t fd, short what, void *base)
{
	(void)fd, (void)what;
	event_base_loopbreak(base);
}

static void print_report(const struct relay_counters *c)
{
	printf("{\"mappings\":%" PRIu64 ",\"rebinds\":%" PRIu64 ",\"up\":%" PRIu64 ",\"down\":%" PRIu64
	       ",\"forwarded\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"refused\":%" PRIu64 "}\n",
	       c->mappings, c->rebinds, c->up, c->down, c->forwarded, c->lost, c->refused);
}

int main(int argc, char **argv)
{
	struct relay_settings settings = { .seed = 1, .max = 10000 };
	std_files_open();
	if (read_options(&settings, argc, argv))
		return EXIT_USAGE;
	struct event_base *base = event_base_new();
	struct relay *relay = NULL;
	int err = base ? relay_new(&relay, base, &settings) : -ENOMEM;
	if (err) {
		fprintf(stderr, "cannot relay: %s\n", strerror(-err));
		if (base)
			event_base_free(base);
		return EXIT_FAILURE;
	}
	struct event *forget = evsignal_new(base, SIGUSR1, on_forget, relay);
	struct event *term = evsignal_new(base, SIGTERM, on_end, base);
	struct event *interrupt = evsignal_new(base, SIGINT, on_end, base);
	event_add(forget, NULL);
	event_add(term, NULL);
	event_add(interrupt, NULL);
	event_base_dispatch(base);
	print_report(relay_counters(relay));
	event_free(interrupt);
	event_free(term);
	event_free(forget);
	relay_free(relay);
	event_base_free(base);
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
