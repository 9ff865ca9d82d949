#include "xdp/program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The object file that clang has made of fast.bpf.c. */
EBPF_EMBED(fast_object, CIDLB_FAST_OBJECT);

struct mapped {
	void *at;
	size_t octets;
};

struct fast_program {
	struct bpf_object *object;
	int fd, devices;
	int links[FAST_INTERFACES];
	size_t link_count;
	unsigned cpus;
	struct mapped control, tables, cids, slots, counts;
};

bool fast_program_is_built(void)
{
	return true;
}

static size_t pages_of(size_t octets)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (octets + page - 1) / page * page;
}

static int map_in(struct mapped *out, struct bpf_object *object, const char *name, size_t octets)
{
	const int fd = bpf_object__find_map_fd_by_name(object, name);
	void *at;

	if (fd < 0)
		return fd;
	at = mmap(NULL, pages_of(octets), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	*out = (struct mapped){ at, pages_of(octets) };
	return 0;
}

static int maps_in(struct fast_program *program)
{
	int err = map_in(&program->control, program->object, "fast_control", sizeof(struct fast_control));

	if (!err)
		err = map_in(&program->tables, program->object, "fast_tables", 2 * sizeof(struct fast_table));
	if (!err)
		err = map_in(&program->cids, program->object, "fast_cids", FAST_CID_SETS * sizeof(struct fast_cid_set));
	if (!err)
		err = map_in(&program->slots, program->object, "fast_slots",
			     FAST_HASH_POOLS * sizeof(struct fast_slots));
	if (!err)
		err = map_in(&program->counts, program->object, "fast_counts",
			     program->cpus * sizeof(struct fast_counts));
	return err;
}

static int object_load(struct fast_program *program)
{
	const size_t octets = (size_t)(fast_object_end - fast_object_begin);
	struct bpf_map *counts;
	int cpus = libbpf_num_possible_cpus(), err;

	if (cpus < 0)
		return cpus;
	program->cpus = (unsigned)cpus;
	program->object = bpf_object__open_mem(fast_object_begin, octets, NULL);
	if (!program->object)
		return -errno;
	counts = bpf_object__find_map_by_name(program->object, "fast_counts");
	if (!counts)
		return -ENOENT;
	err = bpf_map__set_max_entries(counts, program->cpus);
	if (!err)
		err = bpf_object__load(program->object);
	if (err)
		return err;
	program->fd = bpf_program__fd(bpf_object__find_program_by_name(program->object, "cidlb_fast"));
	program->devices = bpf_object__find_map_fd_by_name(program->object, "fast_devices");
	return program->fd < 0 ? program->fd : program->devices < 0 ? program->devices : maps_in(program);
}

int fast_program_load(struct fast_program **out, char why[static EBPF_WHY_OCTETS])
{
	struct fast_program *program = calloc(1, sizeof *program);
	int err;

	why[0] = '\0';
	*out = NULL;
	if (!program)
		return -ENOMEM;
	ebpf_listen(why);
	err = object_load(program);
	ebpf_listen(NULL);
	if (err) {
		fast_program_free(program);
		return err;
	}
	*out = program;
	return 0;
}

static void map_out(struct mapped *map)
{
	if (map->at)
		munmap(map->at, map->octets);
}

void fast_program_detach(struct fast_program *program)
{
	while (program->link_count > 0)
		fast_link_end(program->links[--program->link_count]);
}

void fast_program_free(struct fast_program *program)
{
	if (!program)
		return;
	for (size_t i = 0; i < program->link_count; i++)
		close(program->links[i]);
	map_out(&program->control);
	map_out(&program->tables);
	map_out(&program->cids);
	map_out(&program->slots);
	map_out(&program->counts);
	bpf_object__close(program->object);
	free(program);
}

int fast_program_attach(struct fast_program *program, uint32_t ifindex, enum ebpf_attach how)
{
	int link;

	if (program->link_count == FAST_INTERFACES)
		return -ENOSPC;
	link = ebpf_attach(program->fd, ifindex, &how);
	if (link < 0)
		return link;
	program->links[program->link_count++] = link;
	return (int)how;
}

int fast_program_adopt(struct fast_program *program, int link)
{
	int err;

	if (program->link_count == FAST_INTERFACES)
		return -ENOSPC;
	err = bpf_link_update(link, program->fd, NULL);
	if (err < 0)
		return err;
	program->links[program->link_count++] = link;
	return 0;
}

int fast_link_open(const char *path)
{
	return bpf_obj_get(path);
}

uint32_t fast_link_ifindex(int link)
{
	struct bpf_link_info info = { 0 };
	uint32_t octets = sizeof info;

	return bpf_obj_get_info_by_fd(link, &info, &octets) == 0 ? info.xdp.ifindex : 0;
}

void fast_link_end(int link)
{
	(void)bpf_link_detach(link);
	close(link);
}

int fast_program_link(const struct fast_program *program, size_t at)
{
	return program->links[at];
}

int fast_program_pin(const struct fast_program *program, const char *path)
{
	return bpf_obj_pin(program->links[program->link_count - 1], path);
}

int fast_program_add_device(struct fast_program *program, uint8_t device, uint32_t ifindex)
{
	const uint32_t key = device;

	return bpf_map_update_elem(program->devices, &key, &ifindex, BPF_ANY);
}

struct fast_control *fast_program_control(struct fast_program *program)
{
	return program->control.at;
}

struct fast_cid_set *fast_program_cids(struct fast_program *program)
{
	return program->cids.at;
}

struct fast_slots *fast_program_slots(struct fast_program *program)
{
	return program->slots.at;
}

struct fast_table *fast_program_spare_table(struct fast_program *program)
{
	const struct fast_control *control = program->control.at;

	return (struct fast_table *)program->tables.at + (control->table ^ 1);
}

int fast_program_publish(struct fast_program *program)
{
	struct fast_control *control = program->control.at;

	__atomic_store_n(&control->table, control->table ^ 1, __ATOMIC_SEQ_CST);
	/* The kernel waits for a grace period of RCU, within which a program runs. It needs no privilege. */
	return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0 ? 0 : -errno;
}

static const struct fast_counts *counts_of(const struct fast_program *program, unsigned cpu)
{
	return (const struct fast_counts *)program->counts.at + cpu;
}

void fast_program_sum(struct fast_counts *sum, const struct fast_program *program)
{
	const size_t words = offsetof(struct fast_counts, sample_at) / sizeof(uint64_t);

	for (unsigned cpu = 0; cpu < program->cpus; cpu++) {
		const uint64_t *from = (const uint64_t *)counts_of(program, cpu);

		for (size_t i = 0; i < words; i++)
			((uint64_t *)sum)[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	}
}

int fast_program_try(const struct fast_program *program, const uint8_t *frame, size_t octets, uint8_t *out, size_t room,
		     size_t *out_octets)
{
	struct ebpf_trial trial = { .frame = frame, .octets = octets, .out = out, .room = room };
	const int action = ebpf_try(program->fd, &trial);

	*out_octets = trial.out_octets;
	return action;
}

const struct fast_counts *fast_program_counts(const struct fast_program *program, unsigned cpu)
{
	return counts_of(program, cpu);
}
