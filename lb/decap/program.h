/* The program of cidlb-decap in the kernel. Owner: one thread. Loading and attaching need CAP_BPF, CAP_NET_ADMIN and
 * CAP_PERFMON. */
#ifndef CIDLB_DECAP_PROGRAM_H
#define CIDLB_DECAP_PROGRAM_H

#include <stdint.h>

#include "decap/options.h"

struct decap_program;

/* Loads the program, with the addresses of the options. It is attached to nothing. -errno: the kernel refuses it, and
 * `why` says more ("" if it does not). */
int decap_program_load(struct decap_program **out, const struct decap_options *options,
		       char why[static EBPF_WHY_OCTETS]);

/* Detaches it. So does the kernel when the process ends in another way. */
void decap_program_free(struct decap_program *program);

/* Returns how it is attached: EBPF_NATIVE or EBPF_GENERIC. -EBUSY: another program is there. Other -errno: neither is
 * to be had. */
int decap_program_attach(struct decap_program *program, uint32_t ifindex, enum ebpf_attach how);

/* What all CPUs have counted. */
void decap_program_count(uint64_t out[static DECAP_COUNTS], const struct decap_program *program);

/* For tests. Runs it once on a frame, without any interface (BPF_PROG_TEST_RUN). Returns the action, and the frame as
 * it is afterwards in `out`, which has room for `room` octets. -errno: it did not run. */
int decap_program_try(const struct decap_program *program, const uint8_t *frame, size_t octets, uint8_t *out,
		      size_t room, size_t *out_octets);

#endif
