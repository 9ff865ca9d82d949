#include "bench/programs/core/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	MOST_REPETITIONS = 16,
	LEAST_OPERATIONS = 8192, /* a multiple of every batch */
};

static const struct effort {
	size_t repetitions;
	uint64_t least_ns;
	size_t yardstick_operations;
} efforts[] = {
	[MEASURE_FULL] = { 9, 5000000, 65536 },
	[MEASURE_QUICK] = { 3, 500000, 8192 },
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

/* Sorts the values, of which there is one at least. */
static double median(double *values, size_t count)
{
	qsort(values, count, sizeof *values, compare);
	return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

struct repetitions {
	size_t count;
	double ns[MOST_REPETITIONS], yardstick_ns[MOST_REPETITIONS], ratio[MOST_REPETITIONS];
};

/* The yardstick is beside each repetition, since the speed of a CPU may change from one to the next. */
static void repeat(struct repetitions *out, size_t operations, size_t yardstick_operations, measure_work work,
		   void *ctx)
{
	void *addresses = yardstick_addresses();

	work_ns(yardstick_hash, addresses, yardstick_operations);
	for (size_t i = 0; i < out->count; i++) {
		uint64_t yardstick_ns = work_ns(yardstick_hash, addresses, yardstick_operations);

		out->yardstick_ns[i] = (double)yardstick_ns / (double)yardstick_operations;
		out->ns[i] = (double)work_ns(work, ctx, operations) / (double)operations;
		out->ratio[i] = out->ns[i] / out->yardstick_ns[i];
	}
}

static void print_number(const char *name, size_t number)
{
	if (number)
		printf(", \"%s\": %zu", name, number);
}

static void print_repetitions(struct repetitions *of)
{
	const double ratio = median(of->ratio, of->count), ns = median(of->ns, of->count);
	const double yardstick_ns = median(of->yardstick_ns, of->count);

	printf(", \"ns\": %.4f, \"min\": %.4f, \"max\": %.4f", ns, of->ns[0], of->ns[of->count - 1]);
	printf(", \"yardstick\": %.4f, \"yardstick_min\": %.4f, \"yardstick_max\": %.4f", yardstick_ns,
	       of->yardstick_ns[0], of->yardstick_ns[of->count - 1]);
	printf(", \"ratio\": %.5f}\n", ratio);
	fflush(stdout);
}

void measure(const struct core_case *this, enum measure_effort effort, size_t distinct, measure_work work, void *ctx)
{
	const struct effort *usual = &efforts[effort];
	size_t operations = this->operations ? this->operations : operations_for(distinct, usual->least_ns, work, ctx);
	struct repetitions repetitions = { .count = this->repetitions ? this->repetitions : usual->repetitions };

	if (this->operations)
		work_ns(work, ctx, operations);
	repeat(&repetitions, operations, usual->yardstick_operations, work, ctx);
	printf("{\"case\": \"%s\"", this->name);
	print_number("octets", this->octets);
	print_number("distinct", distinct);
	print_number("batch", this->batch);
	print_number("backends", this->backends);
	print_number("flows", this->flows);
	print_number("operations", operations);
	print_number("repetitions", repetitions.count);
	print_repetitions(&repetitions);
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
