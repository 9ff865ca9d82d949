/* Waiting for a lock that is held for some microseconds. */
#ifndef CIDLB_BASE_CPU_TURN_H
#define CIDLB_BASE_CPU_TURN_H

#include <sched.h>

#include <urcu/arch.h>

enum { CPU_TURN_SPINS = 1000 /* some ten microseconds */ };

/* To be called while the lock is not to be had: `tries` counts, and is 0 at first. Who has the lock may have been put
 * to sleep, and may need this very CPU. */
static inline void cpu_turn_wait(unsigned *tries)
{
	if (++*tries % CPU_TURN_SPINS == 0)
		sched_yield();
	else
		caa_cpu_relax();
}

#endif
