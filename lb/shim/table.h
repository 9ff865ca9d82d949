/* The way back to each device: the node from which it came last, and the service address that it had addressed.
 *
 * Of fixed size, in sets: a device that is new to a full set takes the place of the one that was silent longest. What
 * has no entry goes the way of the datagram before, whoever sent that: any node delivers it. Only that of a probe it
 * does not go if another one is known: where a node's own probes come from, from its own address, it delivers nothing.
 * All functions may be called from any thread. They wait for each other a bounded time only, so that a signal handler
 * that interrupts one of them may call another: it then finds nothing.
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
	uint16_t port; /* place of the server's own port: settings_port() */
	uint32_t used; /* the set's clock then; 0: empty */
};

struct table_set {
	uint32_t clock;
	struct table_entry entries[TABLE_WAYS];
};

struct table_last {
	bool known, of_probe;
	struct table_way way;
};

/* All zero but the key is an empty one. */
struct table {
	struct siphash_key key;
	atomic_uint locks[TABLE_LOCKS];
	atomic_uint last_lock;
	struct table_last last[SETTINGS_PORTS][2]; /* by family of the device */
	struct table_set sets[TABLE_SETS];
};

/* Takes the memory of all of it: a server then holds as much at its start as after any number of devices. */
void table_hold(struct table *table);

void table_learn(struct table *table, unsigned port, const struct addr *device, const struct table_way *way);

/* False: nobody has come yet from whom the way could be guessed. */
bool table_find(struct table *table, unsigned port, const struct addr *device, struct table_way *out);

/* In the child of a fork: what another thread held then would never be released. Its devices are forgotten. */
void table_recover(struct table *table);

#endif
