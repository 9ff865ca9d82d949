/* Links in the bpf file system: what keeps the program on an interface while no cidlb runs (/sys/fs/bpf/cidlb). A
 * directory for each interface of each network namespace, locked by the cidlb that has it. Control thread.
 *
 * They are made as root, and belong to the user that cidlb becomes, so that it can remove them at its end. */
#ifndef CIDLB_XDP_PINS_H
#define CIDLB_XDP_PINS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { FAST_PIN_NAME_OCTETS = 48, FAST_PIN_PATH_OCTETS = 64 };

struct fast_pin {
	int parent, directory; /* -1: there is none */
	char name[FAST_PIN_NAME_OCTETS];
};

#define FAST_NO_PIN ((struct fast_pin){ .parent = -1, .directory = -1 })

/* 0, or -errno: links cannot be kept here. -EBUSY: another cidlb has the interface. On an error `out` is
 * FAST_NO_PIN. */
int fast_pin_open(struct fast_pin *out, uint32_t ifindex, uid_t uid, gid_t gid);

/* The path of the link for bpf(), which ends in `mode`. Returns `out`. */
const char *fast_pin_path(char out[static FAST_PIN_PATH_OCTETS], const struct fast_pin *pin, const char *mode);

/* There is such a link. */
bool fast_pin_has(const struct fast_pin *pin, const char *mode);

/* Removes the link, if there is one. */
void fast_pin_remove(const struct fast_pin *pin, const char *mode);

/* Gives it back, with what is pinned there. */
void fast_pin_close(struct fast_pin *pin);

#endif
