/* What cidlb gives up once it runs, so that a mistake in the reading of datagrams is worth little to whoever finds
 * it. */
#ifndef CIDLB_START_SANDBOX_H
#define CIDLB_START_SANDBOX_H

/* For all threads, for good: no core dump and no tracing by the same user (keys are in memory; the whole process, as
 * copies of a key are on stacks too), no new privileges, and a seccomp filter of the system calls that are needed from
 * here on.
 *
 * Calls that only an intruder makes (run a program, look into another process, load code into the kernel) kill the
 * process. Others that are not listed fail with ENOSYS, as on an older kernel: a libc newer than the list falls back
 * then, where a kill would end the service.
 *
 * Returns 0; -ENOTSUP: nothing was done, a sanitizer is built in, which traces and needs more calls; -ENOSYS: all but
 * the filter was done, there is none for this architecture; -errno. */
int sandbox_enter(void);

#endif
