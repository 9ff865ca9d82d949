/* The sockets of a single source address: one per port, bound when the first flow needs it, shared by all workers.
 *
 * A port serves one flow per backend, so that descriptors are flows / backends. The worker that opened a port receives
 * its replies; any may send on it. Counted: tables that use the same address and ports share them. The control thread
 * makes and drops; workers open.
 */
#ifndef CIDLB_PORTS_H
#define CIDLB_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"

struct ports;

enum { PORTS_SERIAL_BITS = 40 };

/* None open. `address`: its port is ignored. NULL: out of memory. */
struct ports *ports_new(const struct addr *address, uint16_t first, uint16_t last);

/* Less than 1 << PORTS_SERIAL_BITS, and no other's: unlike a descriptor it does not come again. */
uint64_t ports_serial(const struct ports *ports);

bool ports_are_of(const struct ports *ports, const struct addr *address, uint16_t first, uint16_t last);
struct ports *ports_share(struct ports *ports);

/* The last to drop them closes them all; no worker may know of them any more. NULL is fine. */
void ports_drop(struct ports *ports);

/* The socket of `port`, or -1: not open. */
int ports_get(const struct ports *ports, uint16_t port);

/* A new socket for `port`. -errno: cannot be had (-EMFILE, or -EADDRINUSE if it is another program's). */
int ports_bind(const struct ports *ports, uint16_t port);

/* Makes `fd` the socket of `port`, or closes it if another worker was faster. Returns the socket. */
int ports_keep(struct ports *ports, uint16_t port, int fd);

#endif
