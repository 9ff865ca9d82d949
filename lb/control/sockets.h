/* The sockets that a configuration asks for. All of them are opened or none, and then handed to the workers. Control
 * thread.
 *
 * Every listener has one SO_REUSEPORT socket per worker, and shares its sessions among them by their CIDs. So has every
 * port of the pools' endpoints, on the wildcard address of its family. A tunnel has a socket per worker as well, each
 * at a port of its own, counted from its local port.
 *
 * Once root is given up it is otherwise: what a reload opens has one socket for all workers, without SO_REUSEPORT. The
 * kernel lets any process of the same user into a group of SO_REUSEPORT, where it would get datagrams of devices and
 * could answer in the service's name. So groups are made by root alone, and who was root once joins none. One worker
 * receives on such a socket, and all send. At the next start it is as the others.
 */
#ifndef CIDLB_CONTROL_SOCKETS_H
#define CIDLB_CONTROL_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "control/table_spec.h"
#include "path/worker.h"

/* What a group of sockets is for. */
enum slot_kind { SLOT_LISTENER, SLOT_ENDPOINT, SLOT_TUNNEL };
enum { SLOT_KINDS = SLOT_TUNNEL + 1 };
const char *slot_kind_name(enum slot_kind kind);

struct sockets;        /* what the workers have */
struct sockets_change; /* what is opened and closed to get from one configuration to the next */

/* Begins without sockets. Of each there will be worker_count. `workers` is borrowed, and filled by the time of
 * sockets_prepare(). NULL: out of memory. */
struct sockets *sockets_new(struct worker *const *workers, unsigned worker_count);
void sockets_free(struct sockets *sockets);

/* A socket that a cidlb before has left: it is used where the first change wants one of its kind at its address, with
 * what waits in it, and else closed. There may be more of them than workers, who then read several each: a group goes
 * on delivering to all its members. To be called before the first sockets_prepare(). Takes `fd`. */
void sockets_inherit(struct sockets *sockets, enum slot_kind kind, int fd);

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

/* Opens what `wanted` needs and the workers do not have, and has the workers admit it. 0, or -errno: nothing is open or
 * admitted. */
int sockets_prepare(struct sockets_change **out, struct sockets *sockets, const struct sockets_of *wanted,
		    struct sockets_failure *failure);

/* Opens the rest: what cannot be bound while nothing else is allowed at addresses of sockets that are to be closed, as
 * when a listener goes from one address of a port to all of them. From then on a part of what arrives waits in the new
 * sockets, so it is the last step that can fail. -errno: the caller is to abandon the change. */
int sockets_prepare_moved(struct sockets *sockets, struct sockets_change *change, struct sockets_failure *failure);

/* Gives the workers what was opened, and has them empty what is replaced. Called before the table that uses it is
 * published. */
void sockets_add(struct sockets *sockets, struct sockets_change *change);

/* Closes what is no longer needed, after one grace period for all, and frees the change. Called after publication. */
void sockets_remove(struct sockets *sockets, struct sockets_change *change);

/* At how many addresses one socket serves all workers, though there are several workers. */
size_t sockets_shared(const struct sockets *sockets);

/* The smallest receive buffer of a kind, in octets, as the kernel has it. UINT32_MAX: there are none. */
uint32_t sockets_rcvbuf(const struct sockets *sockets, enum slot_kind kind);

/* Shows `visit` every socket that the workers have, and the address that it is bound to. */
void sockets_visit(const struct sockets *sockets,
		   void (*visit)(void *ctx, enum slot_kind kind, const struct addr *addr, int fd), void *ctx);

/* Closes everything that was opened, and frees the change. Nothing of it was given away. NULL is fine. */
void sockets_abandon(struct sockets *sockets, struct sockets_change *change);

#endif
