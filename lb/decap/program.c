#include "decap/program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

/* The object file that clang has made of decap.bpf.c. */
EBPF_EMBED(decap_object, CIDLB_DECAP_OBJECT);

struct decap_program {
	struct bpf_object *object;
	int fd, counts;
	int link; /* -1: not attached */
};

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
		       char why[static EBPF_WHY_OCTETS])
{
	struct decap_program *program = calloc(1, sizeof *program);
	int err;

	why[0] = '\0';
	*out = NULL;
	if (!program)
		return -ENOMEM;
	program->link = -1;
	ebpf_listen(why);
	err = object_load(program, options);
	ebpf_listen(NULL);
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

int decap_program_attach(struct decap_program *program, uint32_t ifindex, enum ebpf_attach how)
{
	const int link = ebpf_attach(program->fd, ifindex, &how);

	if (link < 0)
		return link;
	program->link = link;
	return (int)how;
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
	struct ebpf_trial trial = { .frame = frame, .octets = octets, .out = out, .room = room };
	const int action = ebpf_try(program->fd, &trial);

	*out_octets = trial.out_octets;
	return action;
}
