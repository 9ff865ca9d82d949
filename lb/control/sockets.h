/* The sockets that a configuration asks for: opened all or none, then handed to the workers. Control thread.
 *
 * Every listener, and every port of the pools' endpoints on the wildcard address of its family, has one SO_REUSEPORT
 * socket per worker. A tunnel has a socket per worker as well, each at a port of its own: from its local port on.
 */
#ifndef CIDLB_CONTROL_SOCKETS_H
#define CIDLB_CONTROL_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "control/table_spec.h"
#include "path/worker.h"

struct sockets;        /* what the workers have */
struct sockets_change; /* what is opened and closed to get from one configuration to the next */

/* worker_count sockets of each, for these, which must all be there by the time of sockets_prepare(). NULL: out of
 * memory. */
struct sockets *sockets_new(struct worker *const *workers, unsigned worker_count);
void sockets_free(struct sockets *sockets);

/* Where a change failed. */
struct sockets_failure {
	struct addr addr; /* of a tunnel: that of its first worker */
	bool unwatched;   /* it was bound, but epoll would not watch it */
};

/* Whose sockets they are to be. */
struct sockets_of {
	const struct conf *conf;
	const struct table_spec *spec; /* of conf */
	const uint16_t *listener_uids; /* by index in conf->listeners */
};

/* Opens what `wanted` needs and the workers do not have, and has them admitted: all that can fail. On failure nothing
 * is open or admitted, and the result is -errno. */
int sockets_prepare(struct sockets_change **out, struct sockets *sockets, const struct sockets_of *wanted,
		    struct sockets_failure *failure);

/* Gives the workers what was opened. Before the table that uses it is published. */
void sockets_add(struct sockets *sockets, struct sockets_change *change);

/* Closes what is no longer needed, after one grace period for all, and frees the change. After publication. */
void sockets_remove(struct sockets *sockets, struct sockets_change *change);

/* Closes everything that was opened, none of which was given away, and frees the change. NULL is fine. */
void sockets_abandon(struct sockets *sockets, struct sockets_change *change);

#endif
