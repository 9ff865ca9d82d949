/* Turns at a CPU that several threads share. What they are worth to cidlb tests/e2e/crowds.py measures. */
#ifndef CIDLB_BASE_CPU_TURN_H
#define CIDLB_BASE_CPU_TURN_H

#include <sched.h>

#include <urcu/arch.h>

enum {
	CPU_TURN_SHORT_NS = 100000, /* the least that the kernel takes; it is some milliseconds for others */
	CPU_TURN_SPINS = 1000,      /* some ten microseconds */
};

/* The calling thread asks for short turns at a time, and so gets its turn before a thread that has a long one. It
 * takes no rights. Before Linux 6.12, and where it is not permitted, nothing changes. */
void cpu_turn_short(void);

/* To be called while a lock that is held for some microseconds is not to be had: `tries` counts, and is 0 at first. Who
 * has the lock may have been put to sleep, and may need this very CPU. */
static inline void cpu_turn_wait(unsigned *tries)
{
	if (++*tries % CPU_TURN_SPINS == 0)
		sched_yield();
	else
		caa_cpu_relax();
}

#endif
