/* In place of program.c where cidlb was built without clang or libbpf. */
#include "xdp/program.h"

#include <errno.h>
#include <unistd.h>

bool fast_program_is_built(void)
{
	return false;
}

int fast_program_load(struct fast_program **out, char why[static EBPF_WHY_OCTETS])
{
	*out = NULL;
	why[0] = '\0';
	return -ENOTSUP;
}

void fast_program_free(struct fast_program *program)
{
	(void)program;
}

int fast_program_attach(struct fast_program *program, uint32_t ifindex, enum ebpf_attach how)
{
	(void)program;
	(void)ifindex;
	(void)how;
	return -ENOTSUP;
}

int fast_program_adopt(struct fast_program *program, int link)
{
	(void)program;
	(void)link;
	return -ENOTSUP;
}

int fast_link_open(const char *path)
{
	(void)path;
	return -ENOTSUP;
}

uint32_t fast_link_ifindex(int link)
{
	(void)link;
	return 0;
}

void fast_link_end(int link)
{
	close(link);
}

int fast_program_link(const struct fast_program *program, size_t at)
{
	(void)program;
	(void)at;
	return -1;
}

int fast_program_pin(const struct fast_program *program, const char *path)
{
	(void)program;
	(void)path;
	return -ENOTSUP;
}

void fast_program_detach(struct fast_program *program)
{
	(void)program;
}

int fast_program_add_device(struct fast_program *program, uint8_t device, uint32_t ifindex)
{
	(void)program;
	(void)device;
	(void)ifindex;
	return -ENOTSUP;
}

struct fast_control *fast_program_control(struct fast_program *program)
{
	(void)program;
	return NULL;
}

struct fast_cid_set *fast_program_cids(struct fast_program *program)
{
	(void)program;
	return NULL;
}

struct fast_slots *fast_program_slots(struct fast_program *program)
{
	(void)program;
	return NULL;
}

struct fast_table *fast_program_spare_table(struct fast_program *program)
{
	(void)program;
	return NULL;
}

int fast_program_publish(struct fast_program *program)
{
	(void)program;
	return -ENOTSUP;
}

void fast_program_sum(struct fast_counts *sum, const struct fast_program *program)
{
	(void)sum;
	(void)program;
}

int fast_program_try(const struct fast_program *program, const uint8_t *frame, size_t octets, uint8_t *out, size_t room,
		     size_t *out_octets)
{
	(void)program;
	(void)frame;
	(void)octets;
	(void)out;
	(void)room;
	*out_octets = 0;
	return -ENOTSUP;
}

const struct fast_counts *fast_program_counts(const struct fast_program *program, unsigned cpu)
{
	(void)program;
	(void)cpu;
	return NULL;
}
