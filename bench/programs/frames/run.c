#include "bench/programs/frames/run.h"

#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/lib/net.h"
#include "ebpf/ebpf.h"

/* The object file that clang has made of frames.bpf.c. */
EBPF_EMBED(frames_object, CIDLB_FRAMES_OBJECT);

enum { LINKS = 2, BATCH = 64 /* frames that the kernel makes at a time */, MILLISECOND_NS = 1000000 };

struct run {
	struct bpf_object *object;
	struct frames *frames;
	size_t mapped_octets;
	struct bpf_link *links[LINKS];
	size_t link_count;
};

int run_new(struct run **out)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct run *run = calloc(1, sizeof *run);
	void *at;

	if (!run)
		return -ENOMEM;
	run->mapped_octets = (sizeof *run->frames + page - 1) / page * page;
	run->object =
		bpf_object__open_mem(frames_object_begin, (size_t)(frames_object_end - frames_object_begin), NULL);
	if (!run->object || bpf_object__load(run->object) != 0) {
		int err = errno;

		run_free(run);
		return -err;
	}
	at = mmap(NULL, run->mapped_octets, PROT_READ | PROT_WRITE, MAP_SHARED,
		  bpf_object__find_map_fd_by_name(run->object, "frames_state"), 0);
	if (at == MAP_FAILED) {
		int err = errno;

		run_free(run);
		return -err;
	}
	run->frames = at;
	*out = run;
	return 0;
}

void run_free(struct run *run)
{
	if (!run)
		return;
	for (size_t i = 0; i < run->link_count; i++)
		bpf_link__destroy(run->links[i]);
	if (run->frames)
		munmap(run->frames, run->mapped_octets);
	bpf_object__close(run->object);
	free(run);
}

struct frames *run_frames(struct run *run)
{
	return run->frames;
}

int run_attach(struct run *run, const char *program, const char *net, const char *interface)
{
	int err = net_enter(net);
	struct bpf_link *link;
	unsigned index;

	if (err)
		return err;
	index = if_nametoindex(interface);
	if (index == 0)
		return -errno;
	if (run->link_count == LINKS)
		return -ENOSPC;
	link = bpf_program__attach_xdp(bpf_object__find_program_by_name(run->object, program), (int)index);
	if (!link)
		return -errno;
	run->links[run->link_count++] = link;
	return (int)index;
}

struct sender {
	int program;
	const uint8_t *frame;
	uint32_t octets;
	atomic_bool over;
	int err;
};

/* One call that lasts until a signal comes: each has a set-up of some milliseconds. */
static void *send_frames(void *ctx)
{
	struct sender *sender = ctx;
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = sender->frame, .data_size_in = sender->octets,
		    .repeat = INT_MAX, .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH);

	while (!sender->err && !atomic_load(&sender->over))
		if (bpf_prog_test_run_opts(sender->program, &options) != 0 && errno != EINTR)
			sender->err = -errno;
	atomic_store(&sender->over, true);
	return NULL;
}

static void on_wake(int signal)
{
	(void)signal;
}

int run_send(struct run *run, const uint8_t *frame, uint32_t octets, volatile sig_atomic_t *stop,
	     void (*each)(void *ctx), void *ctx)
{
	const struct timespec millisecond = { .tv_nsec = MILLISECOND_NS };
	const struct sigaction wake = { .sa_handler = on_wake };
	struct sender sender = {
		.program = bpf_program__fd(bpf_object__find_program_by_name(run->object, "frames_send")),
		.frame = frame,
		.octets = octets,
	};
	pthread_t thread;
	int err;

	sigaction(SIGUSR1, &wake, NULL);
	err = pthread_create(&thread, NULL, send_frames, &sender);
	if (err)
		return -err;
	while (!*stop && !atomic_load(&sender.over)) {
		nanosleep(&millisecond, NULL);
		each(ctx);
	}
	atomic_store(&sender.over, true);
	/* A signal that comes just before the call does not end it. */
	while (pthread_tryjoin_np(thread, NULL) == EBUSY) {
		pthread_kill(thread, SIGUSR1);
		nanosleep(&millisecond, NULL);
		each(ctx);
	}
	return sender.err;
}
