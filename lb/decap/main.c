/* cidlb-decap: attaches the program to an interface, says so, and waits for the signal that ends it. */
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "decap/program.h"

enum { EXIT_USAGE = 2, LOOK_S = 1 /* after the interface */ };

static void say_counts(const struct decap_program *program)
{
	uint64_t counts[DECAP_COUNTS];

	decap_program_count(counts, program);
	fprintf(stderr,
		"cidlb-decap: %" PRIu64 " taken out; passed up: %" PRIu64 " of strangers, %" PRIu64
		" that were fragments, had options, or were no UDP\n",
		counts[DECAP_TAKEN], counts[DECAP_STRANGER], counts[DECAP_ODD]);
}

static void say_start(const struct decap_options *options, enum ebpf_attach how)
{
	char text[ADDR_TEXT_OCTETS];

	fprintf(stderr, "cidlb-decap: takes packets out of packets on %s (%s), to", options->interface,
		how == EBPF_NATIVE ? "native" : "generic");
	for (size_t i = 0; i < options->own.count; i++)
		fprintf(stderr, " %s", addr_format(&options->own.at[i], text));
	fprintf(stderr, " from");
	for (size_t i = 0; i < options->nodes.count; i++)
		fprintf(stderr, " %s", addr_format(&options->nodes.at[i], text));
	fputc('\n', stderr);
}

/* Until a signal ends it. False: the interface is gone. */
static bool wait_for_end(const struct decap_program *program, const sigset_t *signals, uint32_t ifindex)
{
	const struct timespec look = { .tv_sec = LOOK_S };
	char name[IF_NAMESIZE];

	for (;;) {
		const int signal = sigtimedwait(signals, NULL, &look);

		if (signal == SIGUSR1)
			say_counts(program);
		else if (signal > 0)
			return true;
		else if (!if_indextoname(ifindex, name))
			return false;
	}
}

static int run(const struct decap_options *options)
{
	const uint32_t ifindex = if_nametoindex(options->interface);
	struct decap_program *program;
	char why[EBPF_WHY_OCTETS];
	sigset_t signals;
	int err;

	if (ifindex == 0) {
		fprintf(stderr, "cidlb-decap: %s: %s\n", options->interface, strerror(errno));
		return EXIT_FAILURE;
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	err = decap_program_load(&program, options, why);
	if (err) {
		fprintf(stderr, "cidlb-decap: the kernel does not take the program: %s%s%s\n", strerror(-err),
			*why ? ": " : "", why);
		return EXIT_FAILURE;
	}
	const int how = decap_program_attach(program, ifindex, options->attach);
	if (how < 0) {
		fprintf(stderr, "cidlb-decap: cannot attach to %s: %s\n", options->interface,
			how == -EBUSY ? "another XDP program is there" : strerror(-how));
		decap_program_free(program);
		return EXIT_FAILURE;
	}
	say_start(options, (enum ebpf_attach)how);
	const bool ended = wait_for_end(program, &signals, ifindex);
	if (!ended)
		fprintf(stderr, "cidlb-decap: %s is gone\n", options->interface);
	say_counts(program);
	decap_program_free(program);
	return ended ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char *argv[])
{
	struct decap_options options;
	char mistake[DECAP_MISTAKE_OCTETS];

	if (decap_options_read(&options, argc, argv, mistake) != 0) {
		fprintf(stderr, "cidlb-decap: %s; try --help\n", mistake);
		return EXIT_USAGE;
	}
	if (options.task == DECAP_HELP)
		fputs(decap_help, stdout);
	else if (options.task == DECAP_VERSION)
		puts("cidlb-decap " CIDLB_VERSION);
	return options.task == DECAP_RUN ? run(&options) : EXIT_SUCCESS;
}
