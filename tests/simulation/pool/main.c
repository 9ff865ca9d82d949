/* simulation_pool [--seed N | --seeds FROM-TO] [--steps N] [--trace]: runs the pool state machine in many histories. A
 * seed that fails prints which invariant was broken, and at which step. The same seed and steps replay it. Exit 1 if
 * any failed, 2 on usage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simulation/pool/world.h"

enum { SEEDS_SHOWN = 20 };

struct options {
	unsigned long long from, to, steps;
	bool traced;
};

static bool options_read(struct options *options, int argc, char **argv)
{
	char behind;

	*options = (struct options){ 1, 100, 100, false };
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "--trace") == 0) {
			options->traced = true;
			continue;
		}
		if (strcmp(argv[i], "--seed") == 0 && sscanf(value, "%llu%c", &options->from, &behind) == 1)
			options->to = options->from;
		else if (strcmp(argv[i], "--seeds") == 0 &&
			 sscanf(value, "%llu-%llu%c", &options->from, &options->to, &behind) == 2)
			;
		else if (strcmp(argv[i], "--steps") != 0 || sscanf(value, "%llu%c", &options->steps, &behind) != 1)
			return false;
		i++;
	}
	return options->from <= options->to && options->steps > 0;
}

int main(int argc, char **argv)
{
	static struct pool_world world;
	struct options options;
	unsigned long long steps = 0, failed = 0;

	if (!options_read(&options, argc, argv)) {
		fprintf(stderr, "usage: simulation_pool [--seed N | --seeds FROM-TO] [--steps N] [--trace]\n");
		return 2;
	}
	for (unsigned long long seed = options.from; seed <= options.to && failed < SEEDS_SHOWN; seed++) {
		const char *broken = pool_world_run(&world, seed, options.steps, options.traced);

		steps += world.step;
		if (broken) {
			failed++;
			printf("seed %llu broken at step %llu: %s\n", seed, (unsigned long long)world.step, broken);
		}
	}
	pool_world_end();
	printf("seeds %llu-%llu: %llu steps, %llu failed\n", options.from, options.to, steps, failed);
	return failed ? 1 : 0;
}
