/* The addresses of this host, as the kernel has them in its table of local routes: those of interfaces, 127.0.0.0/8 as
 * a whole, and whatever prefix was routed to this host. And the numbers of its interfaces.
 *
 * They are asked for over a netlink socket that stays open for the life of the process, because the sandbox lets none
 * be opened. Control thread.
 */
#ifndef CIDLB_BASE_HOST_ADDRS_H
#define CIDLB_BASE_HOST_ADDRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"

struct host_prefix {
	struct addr addr; /* host bits and port are 0 */
	uint8_t bits;     /* of the address family: 0..32 or 0..128 */
};

struct host_addrs {
	struct host_prefix *at; /* sorted */
	size_t count;
};

/* Opens the socket, before a sandbox is entered. -errno: the kernel has none. */
int host_addrs_open(void);

/* Reads them. The caller frees them. -errno: `out` is 127.0.0.0/8 and ::1 alone, or empty. */
int host_addrs_read(struct host_addrs *out);
void host_addrs_free(struct host_addrs *addrs);

/* The number of the interface with this name. 0: there is none. */
uint32_t host_iface(const char *name);

bool host_addrs_have(const struct host_addrs *addrs, const struct addr *addr);

/* True: every address of the prefix. */
bool host_addrs_have_all(const struct host_addrs *addrs, const struct host_prefix *prefix);
bool host_addrs_equal(const struct host_addrs *a, const struct host_addrs *b);

#endif
