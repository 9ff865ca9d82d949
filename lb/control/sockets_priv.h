/* The sockets from inside: what sockets*.c share. */
#ifndef CIDLB_CONTROL_SOCKETS_PRIV_H
#define CIDLB_CONTROL_SOCKETS_PRIV_H

#include "base/stats.h"
#include "control/sockets.h"

/* One group of sockets. It is a listener (by its stable number, as an address has one), an endpoint port of one family,
 * or the tunnel of a pool. */
struct slot {
	enum slot_kind kind;
	uint16_t number;       /* listener, port, or pool */
	enum io_family family; /* SLOT_ENDPOINT */
	struct addr addr;
	bool freebind;      /* how it is opened; it does not make it another slot */
	bool ttl;           /* nor does this: it tells TTL and traffic class of what comes in */
	uint8_t cid_octets; /* nor this: SLOT_LISTENER: so many octets every CID has; 0: they do not count */
};

/* Left by a cidlb before, and not yet used. */
struct inherited {
	enum slot_kind kind;
	struct addr addr;
	int fd;
};

/* A socket beyond one per worker. */
struct surplus {
	struct slot slot;
	unsigned worker; /* who reads it */
	int fd;
};

struct sockets {
	struct worker *const *workers;
	unsigned worker_count;
	struct slot *slots; /* what the workers have */
	size_t count;
	bool began_as_root;
	struct inherited *inherited;
	size_t inherited_count;
	bool gave_up; /* some of them: for a while others are bound beside them */
	struct surplus *surplus;
	size_t surplus_count;
	bool lent[STATS_LISTENERS];    /* listeners, by number, that send through another one's sockets */
	bool refused[STATS_LISTENERS]; /* those whose worker the CID is to choose, which the kernel has refused */
};

struct sockets_change {
	struct slot *wanted; /* everything that the configuration asks for */
	size_t wanted_count;
	struct slot *opened;
	int *fds; /* worker_count per opened slot; -1: not open */
	size_t opened_count;
	/* Taken away from the workers, to be closed. There is room for all that they have, because nothing may fail by
	 * then. */
	int *taken;
	size_t taken_count;
	uint32_t rcvbuf_octets;
};

/* How a slot is opened. */
struct opening {
	struct slot slot;
	unsigned extras;
	uint32_t rcvbuf_octets;
};

/* Opens the socket of worker `i`. Returns a descriptor or -errno. */
int slot_bind(const struct sockets *sockets, const struct opening *opening, unsigned i);

/* True if they have the same sockets. */
bool slot_equal(const struct slot *a, const struct slot *b);

/* sockets_group.c. */

/* slot.cid_octets of a listener of the pool. */
uint8_t slot_cid_octets(const struct conf_pool *pool);
/* Has the CID choose the socket of a listener that gets a datagram; or the source, if CIDs do not count. If the kernel
 * refuses, the source goes on to choose, and that is logged once for these sockets. */
void slot_choose_by_cid(struct sockets *sockets, const struct slot *slot);

/* sockets_inherit.c. */

/* Gives up what the change has no use for. */
void inherited_sort(struct sockets *sockets, const struct sockets_change *change);
/* Closes what is left. */
void inherited_drop(struct sockets *sockets);
bool inherited_has(const struct sockets *sockets, const struct slot *slot);
/* Opens a slot with what was inherited for it, and binds what is missing. */
int inherited_open(struct sockets *sockets, const struct sockets_change *change, const struct opening *opening,
		   int *fds, struct sockets_failure *failure);
/* Takes the surplus sockets of slots that are not wanted any more away from the workers. */
void surplus_take(struct sockets *sockets, struct sockets_change *change);

int surplus_handle(const struct sockets *sockets, const struct slot *slot, unsigned at);

/* How many sockets a slot has, one per worker and surplus ones. slot_handle() has a number for each. */
unsigned slot_size(const struct sockets *sockets, const struct slot *slot);

/* The socket of worker `i`, or a surplus one. */
int slot_handle(const struct sockets *sockets, const struct slot *slot, unsigned i);

/* True also if another socket has taken its place, as with a tunnel whose local address is new. */
bool slot_stays(const struct slot *slot, const struct sockets_change *change);

/* True if what the workers have at this slot's address is to be closed: the slot has to be opened beside it. */
bool moved_meets(const struct sockets *sockets, const struct sockets_change *change, const struct slot *slot);

/* Lets the slot be opened beside that (true), or nobody (false). */
void moved_yield(const struct sockets *sockets, const struct sockets_change *change, const struct slot *slot,
		 bool yields);

/* What is opened beside other sockets has been given to the workers: nothing more arrives at these, and the workers
 * have read what had. */
void moved_retire(const struct sockets *sockets, const struct sockets_change *change);

/* The listener's number is about to get sockets of its own. */
void moved_take_back(struct sockets *sockets, uint16_t listener);

/* A slot that does not stay is about to be closed, as one of sockets->slots. Nobody sends through its sockets any more.
 * If other listeners have its address, what is sent in its name leaves through theirs. Returns true if so: the workers
 * have given up its sockets. */
bool moved_lend(struct sockets *sockets, struct sockets_change *change, const struct slot *slot);

#endif
