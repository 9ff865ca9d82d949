/* The sockets that a configuration asks for. All of them are opened or none, and then handed to the workers. Control
 * thread.
 *
 * Every listener has one SO_REUSEPORT socket per worker. So has every port of the pools' endpoints, on the wildcard
 * address of its family. A tunnel has a socket per worker as well, each at a port of its own, counted from its local
 * port.
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

/* Begins without sockets. Of each there will be worker_count. `workers` is borrowed, and filled by the time of
 * sockets_prepare(). NULL: out of memory. */
struct sockets *sockets_new(struct worker *const *workers, unsigned worker_count);
void sockets_free(struct sockets *sockets);

/* Where a change failed. */
struct sockets_failure {
	struct addr addr; /* for a tunnel, that of its first worker */
	bool unwatched;   /* it was bound, but epoll would not watch it */
};

/* What the sockets are for. */
struct sockets_of {
	const struct conf *conf;
	const struct table_spec *spec; /* of conf */
	const uint16_t *listener_uids; /* by index in conf->listeners */
};

/* Opens what `wanted` needs and the workers do not have, and has the workers admit it. That is all that can fail. 0, or
 * -errno: nothing is open or admitted. */
int sockets_prepare(struct sockets_change **out, struct sockets *sockets, const struct sockets_of *wanted,
		    struct sockets_failure *failure);

/* Gives the workers what was opened. Called before the table that uses it is published. */
void sockets_add(struct sockets *sockets, struct sockets_change *change);

/* Closes what is no longer needed, after one grace period for all, and frees the change. Called after publication. */
void sockets_remove(struct sockets *sockets, struct sockets_change *change);

/* Closes everything that was opened, and frees the change. Nothing of it was given away. NULL is fine. */
void sockets_abandon(struct sockets *sockets, struct sockets_change *change);

#endif
