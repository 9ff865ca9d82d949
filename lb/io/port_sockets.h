/* The sockets of a single source address, one per port. Each is bound when the first flow needs it. All workers share
 * them.
 *
 * A port serves one flow per backend, so there are as many descriptors as flows / backends. The worker that opened a
 * port receives its replies, and any worker may send on it. The sockets are counted: tables that use the same address
 * and ports share them. The control thread makes and drops them; workers have them opened (port_opener.h).
 */
#ifndef CIDLB_IO_PORT_SOCKETS_H
#define CIDLB_IO_PORT_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/bad_sources.h"

struct port_sockets;

enum { PORT_SOCKETS_SERIAL_BITS = 40 };

/* None is open yet. The port of `address` is ignored. NULL: out of memory. */
struct port_sockets *port_sockets_new(const struct addr *address, uint16_t first, uint16_t last);

/* A number less than 1 << PORT_SOCKETS_SERIAL_BITS that no others ever have. A descriptor can come again; this
 * cannot. */
uint64_t port_sockets_serial(const struct port_sockets *ports);

/* True: they are those of this address and these ports. */
bool port_sockets_are_of(const struct port_sockets *ports, const struct addr *address, uint16_t first, uint16_t last);
/* Adds a user, who must drop them. */
struct port_sockets *port_sockets_share(struct port_sockets *ports);

/* The last user to drop them closes them all. No worker may know of them any more. NULL is fine. */
void port_sockets_drop(struct port_sockets *ports);

/* The ports that are open. It lives as long as they. */
const struct port_set *port_sockets_open(const struct port_sockets *ports);

/* The socket of `port`, or -1: not open. */
int port_sockets_get(const struct port_sockets *ports, uint16_t port);

/* A new socket for `port`. -errno: none to be had (-EMFILE; -EADDRINUSE: another program has the port). */
int port_sockets_bind(const struct port_sockets *ports, uint16_t port);

/* True: it is their address, and one of their ports. */
bool port_sockets_have(const struct port_sockets *ports, const struct addr *addr);

/* Calls `visit` for each socket. */
void port_sockets_visit(const struct port_sockets *ports, void (*visit)(void *ctx, int fd), void *ctx);

/* Makes `fd` the socket of `port`, or closes it if another worker was faster. Returns the socket of the port. */
int port_sockets_keep(struct port_sockets *ports, uint16_t port, int fd);

#endif
