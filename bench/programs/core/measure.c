#include "bench/programs/core/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	REPETITIONS = 9,
	REPETITIONS_QUICK = 3,
	LEAST_NS = 5000000,
	LEAST_NS_QUICK = 500000,
	MOST_REPETITIONS = 16,
	LEAST_OPERATIONS = 8192 /* a multiple of every batch */
};

static volatile uint64_t sink;

/* Of this thread: what others do on this CPU meanwhile is not in it. */
static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t work_ns(measure_work work, void *ctx, size_t operations)
{
	uint64_t before = cpu_ns();

	sink = work(ctx, operations);
	return cpu_ns() - before;
}

/* Enough operations for the least time, once the work has gone through all that it reads. */
static size_t operations_for(size_t distinct, uint64_t least_ns, measure_work work, void *ctx)
{
	size_t operations = LEAST_OPERATIONS;

	work_ns(work, ctx, distinct + LEAST_OPERATIONS);
	while (work_ns(work, ctx, operations) < least_ns)
		operations *= 2;
	return operations;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_number(const char *name, size_t number)
{
	if (number)
		printf(", \"%s\": %zu", name, number);
}

void measure(const struct core_case *this, bool quick, size_t distinct, measure_work work, void *ctx)
{
	size_t usual = quick ? REPETITIONS_QUICK : REPETITIONS, count = this->repetitions ? this->repetitions : usual;
	uint64_t least_ns = quick ? LEAST_NS_QUICK : LEAST_NS;
	size_t operations = this->operations ? this->operations : operations_for(distinct, least_ns, work, ctx);
	double ns[MOST_REPETITIONS];

	if (this->operations)
		work_ns(work, ctx, operations);
	for (size_t i = 0; i < count; i++)
		ns[i] = (double)work_ns(work, ctx, operations) / (double)operations;
	qsort(ns, count, sizeof *ns, compare);
	printf("{\"case\": \"%s\"", this->name);
	print_number("octets", this->octets);
	print_number("distinct", distinct);
	print_number("batch", this->batch);
	print_number("backends", this->backends);
	print_number("flows", this->flows);
	print_number("operations", operations);
	print_number("repetitions", count);
	printf(", \"ns\": %.2f, \"min\": %.2f, \"max\": %.2f}\n", (ns[(count - 1) / 2] + ns[count / 2]) / 2, ns[0],
	       ns[count - 1]);
	fflush(stdout);
}

void *measure_alloc(size_t count, size_t octets)
{
	void *memory = calloc(count, octets);

	measure_require(memory, "memory");
	return memory;
}

void measure_require(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "cidlb-core: %s\n", what);
	exit(EXIT_FAILURE);
}
