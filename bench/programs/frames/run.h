/* Frames in the kernel: what sends them, and what they meet. Needs root, bpf() and, to send, Linux 5.18. */
#ifndef CIDLB_BENCH_FRAMES_RUN_H
#define CIDLB_BENCH_FRAMES_RUN_H

#include <signal.h>
#include <stdint.h>

#include "bench/programs/frames/frames_map.h"

struct run;

/* Loads the programs. Says on stderr what is wrong. Returns 0 or -errno. */
int run_new(struct run **out);

/* Detaches the programs, too. `run`: may be NULL. */
void run_free(struct run *run);

/* What the programs read and write. */
struct frames *run_frames(struct run *run);

/* Puts a program on an interface. `net`: a file of the network namespace that it is in, which the caller is in from
 * now on; NULL: it is in it already. Returns its index or -errno. */
int run_attach(struct run *run, const char *program, const char *net, const char *interface);

/* Sends until `*stop`, from the namespace that the caller is in, and calls `each(ctx)` once in a millisecond. Returns 0
 * or -errno. */
int run_send(struct run *run, const uint8_t *frame, uint32_t octets, volatile sig_atomic_t *stop,
	     void (*each)(void *ctx), void *ctx);

#endif
