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
			    "modulo, without sockets. JSON on stdout.\n"
			    "  --servers N     20 to 1024 (1000)\n"
			    "  --sessions N    1 to 100000000 (10000000)\n";

static int read_options(struct sim_settings *s, int argc, char **argv)
{
	static const struct option options[] = {
		{ "servers", required_argument, NULL, 's' },
		{ "sessions", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t number = 0;
	int option, at, err = 0;

	while (!err && (option = getopt_long(argc, argv, "", options, &at)) != -1) {
		if (option == 's') {
			err = option_number(&number, options[at].name, optarg, 20, MEMBERS_MAX);
			s->members = (uint32_t)number;
		} else if (option == 'n') {
			err = option_number(&number, options[at].name, optarg, 1, 100000000);
			s->sessions = (uint32_t)number;
		} else if (option == 'h') {
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		} else {
			err = -EINVAL;
		}
	}
	if (err || optind == argc)
		return err;
	fputs(usage, stderr);
	return -EINVAL;
}

static int by_size(const void *left, const void *right)
{
	const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

/* One contender: sums, the event that is the median of all and the worst one, and how the sum grew. */
static void print_contender(const struct sim_result *result, enum sim_contender contender)
{
	uint64_t sorted[PLAN_EVENTS_MAX], needless = 0, unavoidable = 0;
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

static void print_result(const struct sim_result *result, const struct plan *plan, bool moves, double seconds,
			 bool first)
{
	printf("%s  {\"plan\": \"%s\", \"text\": \"%s\", \"moves\": %s, \"events\": %zu", first ? "" : ",\n",
	       plan->name, plan->text, moves ? "true" : "false", result->events);
	printf(", \"routed\": %" PRIu64 ", \"seconds\": %.2f", result->routed, seconds);
	if (result->events <= POINTS) {
		printf(", \"changes\": [");
		for (size_t at = 0; at < result->events; at++) {
			const struct plan_event *event = &result->event[at];
			printf("%s[\"%s\", %u]", at ? ", " : "", plan_change_name(event->change), event->count);
		}
		printf("]");
	}
	printf(", \"contenders\": [\n");
	for (enum sim_contender i = 0; i < SIM_CONTENDERS; i++)
		print_contender(result, i);
	printf("  ]}");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static struct sim_result result;
	struct sim_settings settings = { .members = 1000, .sessions = 10000000 };
	struct sim *sim;
	bool first = true;
	int err;

	if (read_options(&settings, argc, argv))
		return EXIT_USAGE;
	err = sim_new(&sim, &settings);
	if (!err)
		printf("{\"servers\": %" PRIu32 ", \"sessions\": %" PRIu32 ", \"runs\": [\n", settings.members,
		       settings.sessions);
	for (size_t i = 0; !err && i < 2 * plan_count; i++) {
		const struct plan *plan = &plans[i / 2];
		const bool moves = i % 2;
		const uint64_t begun_ms = clock_ms();
		if (moves && plan->fixed_only)
			continue;
		err = sim_run(sim, &result, plan, moves);
		if (!err)
			print_result(&result, plan, moves, (double)(clock_ms() - begun_ms) / 1000, first);
		first = false;
	}
	if (err) {
		fprintf(stderr, "cannot simulate: %s\n", strerror(-err));
		sim_free(sim);
		return EXIT_FAILURE;
	}
	printf("\n]}\n");
	sim_free(sim);
	return EXIT_SUCCESS;
}
