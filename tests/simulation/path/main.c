/* simulation [--seed N | --seeds FROM-TO] [--steps N] [--trace]: runs the packet path in many worlds. A seed that fails
 * prints which invariant was broken, and at which step. The same seed and steps replay it. Exit 1 if any failed, or if
 * the devices of 500 seeds and more missed more than tally.c allows; 2 on usage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <urcu-qsbr.h>

#include "tests/simulation/path/world.h"

enum { SEEDS_SHOWN = 20, SEEDS_JUDGED = 500 };

struct options {
	uint64_t from, to, steps;
	bool traced;
};

static bool number_read(const char *text, uint64_t *out, const char **end)
{
	char *stopped;

	*out = strtoull(text, &stopped, 10);
	*end = stopped;
	return stopped != text;
}

static bool options_read(struct options *options, int argc, char **argv)
{
	const char *end;

	*options = (struct options){ 1, 100, 10000, false };
	for (int i = 1; i < argc; i += 2) {
		if (strcmp(argv[i], "--trace") == 0) {
			options->traced = true;
			i--;
		} else if (i + 1 == argc) {
			return false;
		} else if (strcmp(argv[i], "--seed") == 0) {
			if (!number_read(argv[i + 1], &options->from, &end) || *end)
				return false;
			options->to = options->from;
		} else if (strcmp(argv[i], "--seeds") == 0) {
			if (!number_read(argv[i + 1], &options->from, &end) || *end != '-' ||
			    !number_read(end + 1, &options->to, &end) || *end)
				return false;
		} else if (strcmp(argv[i], "--steps") == 0) {
			if (!number_read(argv[i + 1], &options->steps, &end) || *end)
				return false;
		} else {
			return false;
		}
	}
	return options->from <= options->to && options->steps;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void most_print(void)
{
	static const char *const names[] = { "quiet", "contested", "attacked", "lossy", "cramped" };

	for (int i = 0; i < WORLD_CLASSES; i++)
		printf("most datagrams until answered, %s: flight %u, small %u, large %u\n", names[i],
		       invariants_most[i][TRIES_FLIGHT], invariants_most[i][TRIES_SMALL],
		       invariants_most[i][TRIES_LARGE]);
}

int main(int argc, char **argv)
{
	struct world *world = malloc(sizeof *world);
	struct options options;
	uint64_t steps = 0, failed = 0;
	double began = seconds();

	if (!world || !options_read(&options, argc, argv)) {
		fprintf(stderr, "usage: simulation [--seed N | --seeds FROM-TO] [--steps N] [--trace]\n");
		free(world);
		return 2;
	}
	rcu_register_thread();
	for (uint64_t seed = options.from; seed <= options.to && failed < SEEDS_SHOWN; seed++) {
		const char *broken = world_run(world, seed, options.steps, options.traced);

		steps += world->steps;
		if (broken) {
			failed++;
			printf("seed %llu broken at step %llu: %s\n", (unsigned long long)seed,
			       (unsigned long long)world->steps, broken);
		}
	}
	rcu_unregister_thread();
	most_print();
	tally_print();
	printf("most octets of allowances for one address: %.0f\n", limits_most);
	printf("seeds %llu-%llu: %llu steps, %.0f a second, %llu failed\n", (unsigned long long)options.from,
	       (unsigned long long)options.to, (unsigned long long)steps, (double)steps / (seconds() - began),
	       (unsigned long long)failed);
	free(world);
	if (options.to - options.from >= SEEDS_JUDGED && tally_judge()) {
		printf("over all seeds: %s\n", tally_judge());
		return 1;
	}
	return failed ? 1 : 0;
}
