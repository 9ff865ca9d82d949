#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/lib/clock.h"
#include "bench/lib/options.h"
#include "bench/programs/churn/sim.h"

enum { EXIT_USAGE = 2, POINTS = 50 };

static const char usage[] = "usage: cidlb-churn [options]\n"
			    "\n"
			    "Which sessions are broken when servers come, go and fail: cidlb, Maglev, ketama and "
			    "modulo, without sockets. JSON on\n"
			    "stdout.\n"
			    "  --servers N     20..1024 (default 1000)\n"
			    "  --sessions N    1..100000000 (default 10000000)\n";

static int read_options(struct sim_settings *s, int argc, char **argv)
{
	static const struct option options[] = {
		{ "servers", required_argument, NULL, 's' },
		{ "sessions", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option, at, err = 0;

	while (!err && (option = getopt_long(argc, argv, "", options, &at)) != -1) {
		if (option == 's') {
			err = option_number32(&s->members, options[at].name, optarg, 20, MEMBERS_MAX);
		} else if (option == 'n') {
			err = option_number32(&s->sessions, options[at].name, optarg, 1, 100000000);
		} else if (option == 'h') {
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		} else {
			err = -EINVAL;
		}
	}
	return err || optind == argc ? err : option_left_over(argv[optind]);
}

static int by_size(const void *left, const void *right)
{
	const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

/* One contender: sums, the event that is the median of all and the worst one, and how the sum grew. */
static void print_contender(const struct sim_result *result, enum sim_contender contender)
{
	uint64_t sorted[SCHEDULE_EVENTS_MAX], needless = 0, unavoidable = 0;
	const size_t step = (result->events + POINTS - 1) / POINTS;

	printf("    {\"contender\": \"%s\", \"grew\": [", sim_contender_name(contender));
	for (size_t at = 0; at < result->events; at++) {
		sorted[at] = result->of[at][contender].needless;
		needless += sorted[at];
		unavoidable += result->of[at][contender].unavoidable;
		if ((at + 1) % step == 0 || at + 1 == result->events)
			printf("%s[%zu, %" PRIu64 "]", at + 1 <= step ? "" : ", ", at + 1, needless);
	}
	qsort(sorted, result->events, sizeof sorted[0], by_size);
	printf("], \"needless\": %" PRIu64 ", \"unavoidable\": %" PRIu64 ", \"ever\": %" PRIu64, needless, unavoidable,
	       result->ever[contender]);
	printf(", \"event_median\": %" PRIu64 ", \"event_max\": %" PRIu64, sorted[result->events / 2],
	       sorted[result->events - 1]);
	if (result->events <= POINTS) {
		printf(", \"events\": [");
		for (size_t at = 0; at < result->events; at++) {
			const struct sim_count *count = &result->of[at][contender];
			printf("%s[%" PRIu64 ", %" PRIu64 "]", at ? ", " : "", count->needless, count->unavoidable);
		}
		printf("]");
	}
	printf("}%s\n", contender + 1 < SIM_CONTENDERS ? "," : "");
}

struct run {
	const struct schedule *schedule;
	enum sim_addresses addresses;
	double seconds; /* that it took */
};

static void print_result(const struct sim_result *result, const struct run *run)
{
	const struct schedule *schedule = run->schedule;

	printf("  {\"schedule\": \"%s\", \"text\": \"%s\", \"moves\": %s, \"events\": %zu", schedule->name,
	       schedule->text, run->addresses == SIM_ADDRESSES_MOVE ? "true" : "false", result->events);
	printf(", \"routed\": %" PRIu64 ", \"seconds\": %.2f", result->routed, run->seconds);
	if (result->events <= POINTS) {
		printf(", \"changes\": [");
		for (size_t at = 0; at < result->events; at++) {
			const struct schedule_event *event = &result->event[at];
			printf("%s[\"%s\", %u]", at ? ", " : "", schedule_change_name(event->change), event->count);
		}
		printf("]");
	}
	printf(", \"contenders\": [\n");
	for (enum sim_contender i = 0; i < SIM_CONTENDERS; i++)
		print_contender(result, i);
	printf("  ]}");
	fflush(stdout);
}

/* All schedules, each with addresses that stay and, if it may be, with addresses that move. */
static int run_all(struct sim *sim)
{
	static struct sim_result result;
	const char *separator = "";

	for (size_t i = 0; i < 2 * schedule_count; i++) {
		struct run run = { &schedules[i / 2], i % 2 ? SIM_ADDRESSES_MOVE : SIM_ADDRESSES_STAY, 0 };
		const uint64_t begun_ms = clock_ms();
		if (run.addresses == SIM_ADDRESSES_MOVE && run.schedule->fixed_only)
			continue;
		int err = sim_run(sim, &result, run.schedule, run.addresses);
		if (err)
			return err;
		run.seconds = (double)(clock_ms() - begun_ms) / 1000;
		fputs(separator, stdout);
		print_result(&result, &run);
		separator = ",\n";
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sim_settings settings = { .members = 1000, .sessions = 10000000 };
	struct sim *sim;
	int err;

	if (read_options(&settings, argc, argv))
		return EXIT_USAGE;
	err = sim_new(&sim, &settings);
	if (!err) {
		printf("{\"servers\": %" PRIu32 ", \"sessions\": %" PRIu32 ", \"runs\": [\n", settings.members,
		       settings.sessions);
		err = run_all(sim);
	}
	sim_free(sim);
	if (err) {
		fprintf(stderr, "cannot simulate: %s\n", strerror(-err));
		return EXIT_FAILURE;
	}
	printf("\n]}\n");
	return EXIT_SUCCESS;
}
