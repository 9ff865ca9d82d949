/* For LD_PRELOAD before a Check suite: a machine whose wall clock is CLOCK_SHIFT_S seconds ahead of the time since
 * boot, or behind it. Check counts both in microseconds modulo 2^32, so half of all machines are one, and half the
 * other. With CLOCK_SHIFT_FALLBACK, also a machine where Check finds no timers on the time since boot, and times its
 * tests by the wall clock from the beginning. */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
	const char *shift_s = getenv("CLOCK_SHIFT_S");
	const long result = syscall(SYS_clock_gettime, clock == CLOCK_REALTIME ? CLOCK_MONOTONIC : clock, now);

	if (result == 0 && clock == CLOCK_REALTIME && shift_s)
		now->tv_sec += atol(shift_s);
	return (int)result;
}

int timer_create(clockid_t clock, struct sigevent *restrict event, timer_t *restrict timer)
{
	int (*real)(clockid_t, struct sigevent *, timer_t *);

	/* Check asks so which clock to take. The timers by which it stops its tests are of that clock. */
	if (clock == CLOCK_MONOTONIC && getenv("CLOCK_SHIFT_FALLBACK")) {
		errno = ENOSYS;
		return -1;
	}
	*(void **)&real = dlsym(RTLD_NEXT, "timer_create");
	return real(clock, event, timer);
}
