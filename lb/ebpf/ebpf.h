/* What each program of ours in the kernel needs of libbpf: that of the fast path, and that of cidlb-decap. */
#ifndef CIDLB_EBPF_EBPF_H
#define CIDLB_EBPF_EBPF_H

#include <stddef.h>
#include <stdint.h>

/* Makes an object file part of the executable, from NAME_begin to NAME_end. */
#define EBPF_EMBED(name, file)                                                                                         \
	__asm__(".section .rodata\n"                                                                                   \
		".balign 16\n" #name "_begin:\n"                                                                       \
		".incbin \"" file "\"\n" #name "_end:\n"                                                               \
		".byte 0\n"                                                                                            \
		".previous\n");                                                                                        \
	extern const uint8_t name##_begin[] __attribute__((visibility("hidden")));                                     \
	extern const uint8_t name##_end[] __attribute__((visibility("hidden")))

enum { EBPF_WHY_OCTETS = 256 };

/* From now on libbpf is silent. The first thing that it would say to this thread is wrong is written to `why`, as one
 * line, if that is "". NULL: nowhere. */
void ebpf_listen(char *why);

enum ebpf_attach { EBPF_AUTO, EBPF_NATIVE, EBPF_GENERIC };

/* Attaches a program to an interface, and says how in *how: EBPF_NATIVE or EBPF_GENERIC, of which EBPF_AUTO is the
 * first that is to be had. Returns the descriptor of the link, which holds it there. -EBUSY: another program is there.
 * Other -errno: it is not to be had. */
int ebpf_attach(int program, uint32_t ifindex, enum ebpf_attach *how);

/* A frame, and room for what becomes of it. */
struct ebpf_trial {
	const uint8_t *frame;
	size_t octets;
	uint8_t *out;
	size_t room, out_octets;
};

/* For tests. Runs a program once without any interface (BPF_PROG_TEST_RUN). Returns the action, or -errno: it did not
 * run. */
int ebpf_try(int program, struct ebpf_trial *trial);

#endif
