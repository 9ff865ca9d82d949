/* The time of the programs in bench/. */
#ifndef CIDLB_BENCH_LIB_CLOCK_H
#define CIDLB_BENCH_LIB_CLOCK_H

#include <stdint.h>
#include <sys/time.h>
#include <time.h>

/* The three of them read the same clock, which is monotonic. */
static inline uint64_t clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_us(void)
{
	return clock_ns() / 1000;
}

static inline uint64_t clock_ms(void)
{
	return clock_us() / 1000;
}

/* For libevent: the time from `now_ms` to `at_ms`, or 0 if that has passed. */
static inline struct timeval clock_left(uint64_t at_ms, uint64_t now_ms)
{
	uint64_t ms = at_ms > now_ms ? at_ms - now_ms : 0;
	return (struct timeval){ .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000) };
}

#endif
