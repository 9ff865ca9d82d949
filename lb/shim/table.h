/* The way back to each device: the node from which it came last, and the service address that it sent to.
 *
 * The table has a fixed size and consists of sets. A device that is new to a full set replaces the one that was silent
 * for longest. A device without an entry gets the way of the last datagram, whoever sent that, because any node
 * delivers it. The way of a probe is kept for this only if no other is known. A probe comes from the node's own
 * address, and the node delivers nothing there.
 *
 * Any thread may call all functions. They wait for each other only for a bounded time, so a signal handler that
 * interrupts one may call another. It then finds nothing.
 */
#ifndef CIDLB_SHIM_TABLE_H
#define CIDLB_SHIM_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/siphash.h"
#include "shim/settings.h"

enum { TABLE_SETS = 8192, TABLE_WAYS = 8, TABLE_LOCKS = 256 };

struct table_way {
	struct addr node, service;
};

struct table_entry {
	struct addr device;
	struct table_way way;
	uint16_t port; /* index of the server's own port: settings_port() */
	uint32_t used; /* the set's clock when it was learned; 0: empty */
};

struct table_set {
	uint32_t clock;
	struct table_entry entries[TABLE_WAYS];
};

struct table_last {
	bool known, of_probe;
	struct table_way way;
};

/* A table that is all zero but for the key is empty. */
struct table {
	struct siphash_key key;
	atomic_uint locks[TABLE_LOCKS];
	atomic_uint last_lock;
	struct table_last last[SETTINGS_PORTS][2]; /* by family of the device */
	struct table_set sets[TABLE_SETS];
};

/* Takes all of its memory. A server then holds as much at its start as after any number of devices. */
void table_hold(struct table *table);

void table_learn(struct table *table, unsigned port, const struct addr *device, const struct table_way *way);

/* False: no datagram has come yet from which the way could be guessed. */
bool table_find(struct table *table, unsigned port, const struct addr *device, struct table_way *out);

/* In the child of a fork. Locks that another thread held then would never be released. The devices under them are
 * forgotten. */
void table_recover(struct table *table);

#endif
