#include "start/priority.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* sched_setattr(2). libc has it from glibc 2.41 on. */
struct scheduling {
	uint32_t octets, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t slice_ns, deadline_ns, period_ns;
};

_Static_assert(sizeof(struct scheduling) == 48, "SCHED_ATTR_SIZE_VER0");

enum { NICEST = 19, SLICE_NS = 10 * 1000000 };

/* A thread whose slice is shorter takes the CPU from this one as soon as it has something to do: Linux 6.12. Before,
 * its lower share does that. SCHED_BATCH: it takes nobody's when it wakes up. */
int priority_yield(void)
{
	errno = 0;
	const int before = getpriority(PRIO_PROCESS, 0);
	const struct scheduling later = {
		.octets = sizeof later,
		.policy = SCHED_BATCH,
		.nice = before < NICEST - PRIORITY_NICE ? before + PRIORITY_NICE : NICEST,
		.slice_ns = SLICE_NS,
	};

	if (before == -1 && errno)
		return -errno;
	return syscall(SYS_sched_setattr, 0, &later, 0) < 0 ? -errno : 0;
}
