/* What cidlb gives up once it runs. A mistake in the reading of datagrams is then worth little to whoever finds it. */
#ifndef CIDLB_START_SANDBOX_H
#define CIDLB_START_SANDBOX_H

/* For all threads, those that start later too, for good. No core dump and no tracing by the same user, because keys are
 * in memory. That goes for the whole process, because copies of a key are on stacks too. No new privileges. A seccomp
 * filter admits only the system calls that are needed from here on.
 *
 * Calls that only an intruder makes (run a program, look into another process, load code into the kernel) kill the
 * process. Others that are not listed fail with ENOSYS, as on an older kernel. A libc newer than the list then falls
 * back, whereas a kill would end the service.
 *
 * Returns 0 or -errno. -ENOTSUP: nothing was done, because a sanitizer is built in. It traces, and needs more calls.
 * -ENOSYS: all but the filter was done, because there is none for this architecture. */
int sandbox_enter(void);

/* For the calling thread, for good, and once sandbox_enter() was done: it keeps only what a worker needs. It can make
 * no socket, connect, bind or listen with none, open, remove or rename no file and start no thread: all that fails with
 * ENOSYS. What kills the process still does. Returns as sandbox_enter(). */
int sandbox_enter_worker(void);

#endif
