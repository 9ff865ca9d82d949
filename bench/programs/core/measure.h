/* Nanoseconds of CPU time per operation, by many operations between two looks at the clock. */
#ifndef CIDLB_BENCH_CORE_MEASURE_H
#define CIDLB_BENCH_CORE_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A function that does `operations` of them, and returns what depends on all their results. */
typedef uint64_t (*measure_work)(void *ctx, size_t operations);

enum measure_effort {
	MEASURE_FULL,
	MEASURE_QUICK, /* to see that it works: its figures are no result */
};

struct core_case {
	const char *name; /* GROUP/… */
	void (*measure)(const struct core_case *this, enum measure_effort effort);
	int of;               /* the group's */
	unsigned octets;      /* of a datagram; these and what follows are printed, 0: has none */
	unsigned batch;       /* datagrams at a time */
	unsigned backends;    /* of the pool */
	unsigned flows;       /* in the table */
	unsigned operations;  /* in a repetition; 0: as many as take some milliseconds */
	unsigned repetitions; /* 0: the usual number */
	bool slow;            /* not for --quick */
};

struct core_group {
	const struct core_case *cases;
	size_t count;
};

/* Does the work once to warm up. Then repeats it, each time right after a stretch of the yardstick. Prints a line of
 * JSON: median, least and most over these repetitions, of the work and of the yardstick, and the median of the ratios
 * of the two in the same repetition. `distinct`: datagrams or keys that the work goes through. */
void measure(const struct core_case *this, enum measure_effort effort, size_t distinct, measure_work work, void *ctx);

/* The yardstick, a measure_work: SipHash-2-4 of an IPv4 address and port, 6 octets of input. Its context is what
 * yardstick_addresses() returns, which lives as long as the program. */
uint64_t yardstick_hash(void *addresses, size_t operations);
void *yardstick_addresses(void);

/* For set-ups: without memory, or when a case is not what its name says, nothing is worth measuring. */
void *measure_alloc(size_t count, size_t octets);
void measure_require(bool holds, const char *what);

#endif
