/* A thread that binds ports in the workers' stead. Workers read what strangers send, and so may make no socket and bind
 * none (start/sandbox.h).
 *
 * A session's endpoint is computed, so a worker that needs a port needs this one and no other. It waits for it, as it
 * would wait for its own bind(). That takes as long and two switches of threads, and happens once for each port. The
 * thread does nothing else, takes no lock that anybody holds for long, and is no reader of RCU: so workers may wait for
 * it in the middle of a batch, and it never waits for them.
 *
 * Owner: the control thread, which makes, starts and frees it. Workers ask.
 */
#ifndef CIDLB_IO_PORT_OPENER_H
#define CIDLB_IO_PORT_OPENER_H

#include <stdint.h>

#include "io/port_sockets.h"

struct port_opener;

/* Its thread does not run yet: until it does, whoever asks binds the port itself. NULL: out of memory. */
struct port_opener *port_opener_new(void);

/* Called before anybody else knows of it. 0, or -errno. */
int port_opener_start(struct port_opener *opener);

/* Nobody asks any more. NULL is fine. */
void port_opener_free(struct port_opener *opener);

/* A new socket for `port`, as port_sockets_bind() returns it. Any thread. */
int port_opener_bind(struct port_opener *opener, const struct port_sockets *ports, uint16_t port);

#endif
