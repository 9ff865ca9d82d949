/* On which interface each backend is reached. A datagram with the address of a backend that comes in through another
 * one is no reply: whoever is on the side of the devices can write any source address. Immutable, as the table is that
 * it belongs to. */
#ifndef CIDLB_PATH_BACKEND_IFACES_H
#define CIDLB_PATH_BACKEND_IFACES_H

#include <stdint.h>

#include "common/snapshot.h"

struct backend_ifaces;

/* NULL: out of memory. */
struct backend_ifaces *backend_ifaces_new(const struct snapshot *snapshot);
void backend_ifaces_free(struct backend_ifaces *ifaces);

/* The uid of the backend with this address, whatever its port, if it is reached on another interface than `iface`. Of
 * several backends there it is one. SNAPSHOT_NO_BACKEND: it is reached on this one, or may be reached on any, or no
 * backend has this address. */
uint16_t backend_ifaces_elsewhere(const struct backend_ifaces *ifaces, const uint8_t ip[static 16], uint32_t iface);

#endif
