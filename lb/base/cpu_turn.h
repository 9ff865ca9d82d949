/* Turns at a CPU that several threads share. What they are worth to cidlb tests/e2e/crowds.py measures. */
#ifndef CIDLB_BASE_CPU_TURN_H
#define CIDLB_BASE_CPU_TURN_H

enum { CPU_TURN_SHORT_NS = 100000 }; /* the least that the kernel takes; it is some milliseconds for others */

/* The calling thread asks for short turns at a time, and so gets its turn before a thread that has a long one. It
 * takes no rights. Before Linux 6.12, and where it is not permitted, nothing changes. */
void cpu_turn_short(void);
#endif
