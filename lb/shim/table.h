/* The ways back to each device. A way is a service address that the device sent to, and the node through which it came
 * last to that address. Any node delivers what leaves from its service address, so of the nodes only the last counts.
 *
 * Nothing proves that a datagram is from the device whose address it has. So one datagram turns no way back:
 *
 *   A device has up to TABLE_PAIRS ways. The server's datagrams leave by all of them, in the order of their age.
 *   A new way is added behind the others. If there is no room, it replaces the youngest. The others stay, whatever
 *   comes and from wherever.
 *   A way goes once another one was heard again after TABLE_SILENCE_S in which this one was not.
 *
 * So a device that is heard at least every TABLE_SILENCE_S gets every datagram by its own way, if that one was not the
 * last to come to a full entry. Whoever sends from its address can make it get copies, from service addresses of cidlb
 * and at most TABLE_PAIRS - 1 of them. Nobody else gets anything.
 *
 * The table has a fixed size and consists of sets. A device that is new to a full set replaces the one that was silent
 * for longest. A device without an entry gets the ways of all that came last, whoever sent that, by the same rules. The
 * way of a probe is kept for this only if no other is known. A probe comes from the node's own address, and the node
 * delivers nothing there.
 *
 * A way has the key with which its service address was heard last, by whatever device or probe: a service address is of
 * one pool, and a device may sleep while its pool changes keys. Of the addresses that share a place in the table of
 * services only one is remembered. The ways of the others keep the key with which they were heard themselves.
 *
 * Any thread may call all functions. They wait for each other only for a bounded time, so a signal handler that
 * interrupts one may call another. It then finds nothing. Times are monotonic seconds.
 */
#ifndef CIDLB_SHIM_TABLE_H
#define CIDLB_SHIM_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/siphash.h"
#include "shim/settings.h"

enum {
	TABLE_SETS = 8192,
	TABLE_WAYS = 8,
	TABLE_LOCKS = 256,
	TABLE_PAIRS = 3,
	TABLE_SERVICES = 256,
	TABLE_SILENCE_S = 3600
};

struct table_way {
	struct addr node, service;
	uint8_t key;    /* index of the key that the node signed with: proxy2_ends.key */
	uint8_t direct; /* not 0: its last datagram asked for answers that do not go back to the node */
};

/* Oldest first, each with another service address. */
struct table_ways {
	struct table_way ways[TABLE_PAIRS];
	uint32_t first_s[TABLE_PAIRS], last_s[TABLE_PAIRS]; /* when each was heard */
	uint32_t count;
};

struct table_entry {
	struct table_ways ways;
	struct addr device;
	uint16_t port; /* index of the server's own port: settings_port() */
	uint32_t used; /* the set's clock when it was heard; 0: empty */
};

struct table_set {
	uint32_t clock;
	struct table_entry entries[TABLE_WAYS];
};

/* A service address, and the key with which it was heard last. Port 0: none. */
struct table_service {
	struct addr service;
	uint8_t key;
};

struct table_last {
	bool of_probe;
	struct table_ways ways;
};

/* A table that is all zero but for the key is empty. */
struct table {
	struct siphash_key key;
	atomic_uint locks[TABLE_LOCKS];
	atomic_uint last_lock;
	struct table_last last[SETTINGS_PORTS][2]; /* by family of the device. Under last_lock, as the services */
	struct table_service services[TABLE_SERVICES];
	struct table_set sets[TABLE_SETS];
};

/* Takes all of its memory. A server then holds as much at its start as after any number of devices. */
void table_hold(struct table *table);

void table_learn(struct table *table, unsigned port, const struct addr *device, const struct table_way *way,
		 uint32_t now_s);

/* How many ways there are to the device. 0: no datagram has come yet from which one could be guessed. */
size_t table_find(struct table *table, unsigned port, const struct addr *device,
		  struct table_way out[static TABLE_PAIRS]);

/* In the child of a fork. Locks that another thread held then would never be released. The devices under them are
 * forgotten. */
void table_recover(struct table *table);

#endif
