/* The sockets that a configuration asks for: opened all or none, then handed to the workers. Control thread.
 *
 * Every listener, and every port of the pools' endpoints on the wildcard address of its family, has one SO_REUSEPORT socket per worker.
 * A tunnel has a socket per worker as well, each at a port of its own: from its local port on.
 */
#ifndef CIDLB_SOCKETS_H
#define CIDLB_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "plan.h"
#include "worker.h"

struct sockets;        /* what the workers have */
struct sockets_change; /* what is opened and closed to get from one configuration to the next */

/* worker_count sockets of each. NULL: out of memory. */
struct sockets *sockets_new(unsigned worker_count);
void sockets_free(struct sockets *sockets);

/* Opens what `conf` needs and the workers do not have. `plan`: of conf; listener_uids: by index in conf->listeners. On failure nothing is
 * open, the result is -errno and `failed` the address: of a tunnel, that of its first worker. */
int sockets_prepare(struct sockets_change **out, struct sockets *sockets, const struct conf *conf, const struct plan *plan,
		    const uint16_t *listener_uids, struct addr *failed);

/* Gives the workers what was opened. Before the table that uses it is published. Returns 0 or -errno. */
int sockets_add(struct sockets *sockets, struct sockets_change *change, struct worker *const *workers);

/* Closes what is no longer needed, and frees the change. After publication. */
void sockets_remove(struct sockets *sockets, struct sockets_change *change, struct worker *const *workers);

/* Closes everything that was opened and not given away, and frees the change. */
void sockets_abandon(struct sockets *sockets, struct sockets_change *change);

#endif
