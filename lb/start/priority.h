/* Which threads go first where there are fewer CPUs than work. */
#ifndef CIDLB_START_PRIORITY_H
#define CIDLB_START_PRIORITY_H

enum { PRIORITY_NICE = 5 /* more than before */ };

/* Puts the calling thread behind the others, for good. It has less than a CPU's time only while others want all of
 * them, and then at least a fourth of one. Needs no privilege, and can be called in the sandbox. Threads that it starts
 * from now on come behind the others as well.
 *
 * Returns 0 or -errno. -EPERM, -ENOSYS: a filter from outside forbids it, and nothing has changed. */
int priority_yield(void);

#endif
