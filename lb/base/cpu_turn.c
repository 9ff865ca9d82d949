#include "base/cpu_turn.h"

#include <stdint.h>

#include <sys/syscall.h>
#include <unistd.h>

/* struct sched_attr of sched_setattr(2), in its first version. Headers of libc and of the kernel cannot be had together
 * everywhere. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

void cpu_turn_short(void)
{
	struct attributes attributes = { .size = sizeof attributes };

	if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0)
		return;
	attributes.runtime_ns = CPU_TURN_SHORT_NS;
	(void)syscall(SYS_sched_setattr, 0, &attributes, 0);
}
