#include "decap/program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <unistd.h>

/* The object file that clang has made of decap.bpf.c. */
__asm__(".section .rodata\n"
	".balign 16\n"
	"decap_object_begin:\n"
	".incbin \"" CIDLB_DECAP_OBJECT "\"\n"
	"decap_object_end:\n"
	".byte 0\n"
	".previous\n");
extern const uint8_t decap_object_begin[] __attribute__((visibility("hidden")));
extern const uint8_t decap_object_end[] __attribute__((visibility("hidden")));

struct decap_program {
	struct bpf_object *object;
	int fd, counts;
	int link; /* -1: not attached */
};

/* libbpf says on stderr what is wrong; here it is one line of ours. */
static char *last_words;

static int words_keep(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN && last_words && !last_words[0]) {
		vsnprintf(last_words, DECAP_WHY_OCTETS, format, args);
		last_words[strcspn(last_words, "\n")] = '\0';
	}
	return 0;
}

static int map_fill(const struct bpf_object *object, const char *name, const struct decap_addrs *addrs)
{
	const int fd = bpf_object__find_map_fd_by_name(object, name);
	const uint8_t value = 1;
	int err = fd < 0 ? fd : 0;

	for (size_t i = 0; !err && i < addrs->count; i++) {
		struct decap_ip key;

		memcpy(&key, addrs->at[i].ip, sizeof key);
		err = bpf_map_update_elem(fd, &key, &value, BPF_ANY);
	}
	return err;
}

static int object_load(struct decap_program *program, const struct decap_options *options)
{
	int err;

	program->object =
		bpf_object__open_mem(decap_object_begin, (size_t)(decap_object_end - decap_object_begin), NULL);
	if (!program->object)
		return -errno;
	err = bpf_object__load(program->object);
	if (!err)
		err = map_fill(program->object, "decap_own", &options->own);
	if (!err)
		err = map_fill(program->object, "decap_nodes", &options->nodes);
	if (err)
		return err;
	program->fd = bpf_program__fd(bpf_object__find_program_by_name(program->object, "cidlb_decap"));
	program->counts = bpf_object__find_map_fd_by_name(program->object, "decap_counts");
	return program->fd < 0 ? program->fd : program->counts < 0 ? program->counts : 0;
}

int decap_program_load(struct decap_program **out, const struct decap_options *options,
		       char why[static DECAP_WHY_OCTETS])
{
	struct decap_program *program = calloc(1, sizeof *program);
	int err;

	why[0] = '\0';
	*out = NULL;
	if (!program)
		return -ENOMEM;
	program->link = -1;
	last_words = why;
	libbpf_set_print(words_keep);
	err = object_load(program, options);
	last_words = NULL;
	if (err)
		decap_program_free(program);
	else
		*out = program;
	return err;
}

void decap_program_free(struct decap_program *program)
{
	if (program->link >= 0)
		close(program->link);
	bpf_object__close(program->object);
	free(program);
}

static int link_make(const struct decap_program *program, uint32_t ifindex, unsigned flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);

	return bpf_link_create(program->fd, (int)ifindex, BPF_XDP, &options);
}

int decap_program_attach(struct decap_program *program, uint32_t ifindex, enum decap_attach how)
{
	int link = -EOPNOTSUPP;
	enum decap_attach found = DECAP_NATIVE;

	if (how != DECAP_GENERIC)
		link = link_make(program, ifindex, XDP_FLAGS_DRV_MODE);
	if (link < 0 && link != -EBUSY && how != DECAP_NATIVE) {
		found = DECAP_GENERIC;
		link = link_make(program, ifindex, XDP_FLAGS_SKB_MODE);
	}
	if (link < 0)
		return link;
	program->link = link;
	return (int)found;
}

void decap_program_count(uint64_t out[static DECAP_COUNTS], const struct decap_program *program)
{
	const int cpus = libbpf_num_possible_cpus();
	uint64_t *each = cpus > 0 ? calloc((size_t)cpus, sizeof *each) : NULL;

	for (uint32_t what = 0; what < DECAP_COUNTS; what++) {
		out[what] = 0;
		if (!each || bpf_map_lookup_elem(program->counts, &what, each) != 0)
			continue;
		for (int cpu = 0; cpu < cpus; cpu++)
			out[what] += each[cpu];
	}
	free(each);
}

int decap_program_try(const struct decap_program *program, const uint8_t *frame, size_t octets, uint8_t *out,
		      size_t room, size_t *out_octets)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = (uint32_t)octets, .data_out = out,
		    .data_size_out = (uint32_t)room, .repeat = 1);
	const int err = bpf_prog_test_run_opts(program->fd, &run);

	*out_octets = run.data_size_out;
	return err ? err : (int)run.retval;
}
