#include "base/clock.h"

#include <time.h>

static struct timespec now(clockid_t of)
{
	struct timespec time;

	clock_gettime(of, &time);
	return time;
}

static uint64_t to_ms(struct timespec time)
{
	return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

int64_t clock_s(void)
{
	return now(CLOCK_MONOTONIC).tv_sec;
}

uint64_t clock_ms(void)
{
	return to_ms(now(CLOCK_MONOTONIC));
}

uint64_t clock_us(void)
{
	const struct timespec time = now(CLOCK_MONOTONIC);

	return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

uint64_t clock_coarse_ms(void)
{
	return to_ms(now(CLOCK_MONOTONIC_COARSE));
}
