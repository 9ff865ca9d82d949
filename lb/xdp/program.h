/* The program of the fast path in the kernel: loaded, attached to interfaces, and its maps in memory.
 *
 * Owner: the control thread. Loading and attaching need CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, so they come before
 * root is given up. Afterwards the maps are plain memory.
 */
#ifndef CIDLB_XDP_PROGRAM_H
#define CIDLB_XDP_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ebpf/ebpf.h"
#include "xdp/fast_map.h"

struct fast_program;

/* True: cidlb was built with it. */
bool fast_program_is_built(void);

/* Loads the program; it is attached to nothing, and its tables are empty. -ENOTSUP: not built. Other -errno: the kernel
 * refuses it, and `why` says more ("" if it does not). */
int fast_program_load(struct fast_program **out, char why[static EBPF_WHY_OCTETS]);

/* Takes it from the interfaces, but for those whose links are kept or somebody else has. NULL is fine. */
void fast_program_free(struct fast_program *program);

/* Attaches it to an interface, for as long as this process lives. Returns how: EBPF_NATIVE or
 * EBPF_GENERIC. -EBUSY: another program is there. Other -errno: neither is to be had. */
int fast_program_attach(struct fast_program *program, uint32_t ifindex, enum ebpf_attach how);

/* The same through a link that another process has left: the program there is replaced by this one, and no frame meets
 * none. 0: the descriptor is the program's from now on; or -errno. */
int fast_program_adopt(struct fast_program *program, int link);

/* The link at this path in the bpf file system, a descriptor; or -errno. */
int fast_link_open(const char *path);

/* The interface that a link is of, whatever it is called by now. 0: it is gone, or nobody says. */
uint32_t fast_link_ifindex(int link);

/* Takes away what is on an interface through this link, whoever else has it, and closes it. */
void fast_link_end(int link);

/* The descriptor of the link that was made or adopted as the number `at`; it stays the program's. */
int fast_program_link(const struct fast_program *program, size_t at);

/* Keeps the last link that was made at this path, so that it outlives the process. 0 or -errno. */
int fast_program_pin(const struct fast_program *program, const char *path);

/* Takes it from all interfaces, whoever else has the links. */
void fast_program_detach(struct fast_program *program);

/* Frames may leave through this interface, by the number `device` (below FAST_INTERFACES). 0 or -errno. */
int fast_program_add_device(struct fast_program *program, uint8_t device, uint32_t ifindex);

/* The maps, in memory until the program is freed. */
struct fast_control *fast_program_control(struct fast_program *program);
struct fast_cid_set *fast_program_cids(struct fast_program *program);
struct fast_slots *fast_program_slots(struct fast_program *program); /* FAST_HASH_POOLS */

/* The table that nobody reads, for fast_program_publish(). */
struct fast_table *fast_program_spare_table(struct fast_program *program);

/* From now on the program reads the table that was spare. Returns when nobody reads the other one any more. 0, or
 * -errno: there was no grace period to be had, so wait before filling the spare table again. */
int fast_program_publish(struct fast_program *program);

/* Adds the counts of all CPUs to `sum`. */
void fast_program_sum(struct fast_counts *sum, const struct fast_program *program);

/* For tests. Runs it once on a frame of `octets`, without any interface (BPF_PROG_TEST_RUN). Returns the action, and
 * the frame as it is afterwards in `out`, which has room for `room` octets; -errno: it did not run. */
int fast_program_try(const struct fast_program *program, const uint8_t *frame, size_t octets, uint8_t *out, size_t room,
		     size_t *out_octets);
/* The counts of a CPU. */
const struct fast_counts *fast_program_counts(const struct fast_program *program, unsigned cpu);

#endif
