/* Turns at a CPU that several threads of cidlb share: who waits for datagrams goes before who answers questions. It
 * takes no rights. What is measured is in tests/e2e/crowds.py. */
#ifndef CIDLB_BASE_CPU_TURN_H
#define CIDLB_BASE_CPU_TURN_H

enum { CPU_TURN_SHORT_NS = 100000 }; /* the least that the kernel takes; it is some milliseconds for others */

/* The calling thread asks for short turns at a time, and so gets its turn before a thread that has a long one. Before
 * Linux 6.12, and where it is not permitted, nothing changes. */
void cpu_turn_short(void);

/* Ends the turn of the calling thread: whoever waits for this CPU goes first. */
void cpu_turn_end(void);

#endif
