/* The sockets of a single source address: one per port, bound when the first flow needs it, shared by all workers.
 *
 * A port serves one flow per backend, so that descriptors are flows / backends. The worker that opened a port receives
 * its replies; any may send on it. Counted: tables that use the same address and ports share them. The control thread
 * makes and drops; workers open.
 */
#ifndef CIDLB_IO_PORT_SOCKETS_H
#define CIDLB_IO_PORT_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"

struct port_sockets;

enum { PORT_SOCKETS_SERIAL_BITS = 40 };

/* None open. `address`: its port is ignored. NULL: out of memory. */
struct port_sockets *port_sockets_new(const struct addr *address, uint16_t first, uint16_t last);

/* Less than 1 << PORT_SOCKETS_SERIAL_BITS, and no other's: unlike a descriptor it does not come again. */
uint64_t port_sockets_serial(const struct port_sockets *ports);

bool port_sockets_are_of(const struct port_sockets *ports, const struct addr *address, uint16_t first, uint16_t last);
struct port_sockets *port_sockets_share(struct port_sockets *ports);

/* The last to drop them closes them all; no worker may know of them any more. NULL is fine. */
void port_sockets_drop(struct port_sockets *ports);

/* The socket of `port`, or -1: not open. */
int port_sockets_get(const struct port_sockets *ports, uint16_t port);

/* A new socket for `port`. -errno: cannot be had (-EMFILE, or -EADDRINUSE if it is another program's). */
int port_sockets_bind(const struct port_sockets *ports, uint16_t port);

/* Makes `fd` the socket of `port`, or closes it if another worker was faster. Returns the socket. */
int port_sockets_keep(struct port_sockets *ports, uint16_t port, int fd);

#endif
