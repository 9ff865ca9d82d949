/* What workers read, as one immutable value, and how it is published: exchange the pointer, wait for a grace period,
 * free the old table.
 *
 * Owner: the control thread. A worker loads the pointer once per batch, and keeps nothing of the table over a quiescent
 * state.
 */
#ifndef CIDLB_PATH_TABLE_H
#define CIDLB_PATH_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/stats.h"
#include "common/embed.h"
#include "common/endpoint.h"
#include "common/limit.h"
#include "common/proxy2.h"
#include "common/snapshot.h"
#include "io/io.h"
#include "io/port_sockets.h"
#include "path/backend_by_addr.h"
#include "path/backend_ifaces.h"
#include "path/learned_cids.h"

#define TABLE_NONE UINT16_MAX

struct forwarder; /* forward.h */

/* What a pool of mode nat without a table has instead of flows (nat_stateless.c). */
struct stateless {
	struct embed embed;
	uint16_t port;     /* of all endpoints */
	uint16_t listener; /* uid */
};

/* Where mode dsr sends what is for a backend. */
struct table_hop {
	struct io_link link; /* encap = "l2" */
	uint8_t from[16];    /* encap = "ipip": the source of outer packets, as in struct addr; all 0: unknown */
	uint16_t mtu;        /* octets; 0: there is no way now */
};

enum table_encap { TABLE_L2, TABLE_IPIP };

/* How a pool forwards, and how much. It stands at the same index as in snapshot->pools. */
struct table_pool {
	const struct forwarder *forwarder;
	bool only_sockets;      /* fast = false */
	bool contest_home;      /* nat.contest = "home" */
	bool at_handshake;      /* nat.endpoint = "handshake" */
	bool guesses;           /* a flight may belong to a handshake that is not known */
	uint32_t unproven_rate; /* octets a second (allowance.h) */
	struct endpoint_space space;
	bool single;                             /* the space consists of single addresses: `ports` */
	struct port_sockets *ports[IO_FAMILIES]; /* of a single source address; NULL: the sources are prefixes */
	struct siphash_key endpoint_key;         /* hashes its CIDs to endpoints */
	struct limit_rates hello_rates;
	struct learned_servers *learned;         /* NULL: the pool does not learn CIDs */
	struct learned_servers *sessions;        /* resumed.h; NULL: the pool does not learn sessions */
	struct siphash_key session_key;          /* hashes what devices resume */
	struct backend_by_addr *backend_by_addr; /* NULL: the forwarder has flows */
	struct stateless stateless;              /* forward_nat_stateless */
	struct proxy2_keys tunnel_keys;          /* forward_tunnel */
	struct addr tunnel_local;                /* forward_tunnel: of the first worker */
	bool tunnel_direct;                      /* forward_tunnel: servers are asked to answer devices themselves */
	enum table_encap dsr_encap;              /* forward_dsr */
	struct table_hop *hops;                  /* forward_dsr, by index of the backend; else NULL */
};

struct table_listener {
	uint16_t pool; /* index; TABLE_NONE: there is no such listener */
	bool wildcard;
	struct addr addr;
	struct siphash_key endpoint_key; /* hashes its sources to endpoints */
};

struct table {
	struct snapshot *snapshot;
	struct table_pool pools[STATS_POOLS];  /* by index */
	uint16_t pool_of_uid[STATS_POOLS];     /* index, or TABLE_NONE */
	uint16_t stateless_pools[STATS_POOLS]; /* indices of the pools of forward_nat_stateless */
	size_t stateless_count;
	struct table_listener listeners[STATS_LISTENERS]; /* by uid */
	struct backend_ifaces *ifaces;
};

/* Frees a table, with its snapshot, that no worker reads any more. Wipes its keys. NULL is fine. */
void table_free(struct table *table);

/* The sockets of a single source address that have this serial number. NULL: they are not in this table. */
const struct port_sockets *table_ports(const struct table *table, uint64_t serial);

struct publisher {
	_Atomic(struct table *) current;
};

static inline const struct table *publisher_read(struct publisher *publisher)
{
	return atomic_load_explicit(&publisher->current, memory_order_acquire);
}

/* Waits for a grace period. What workers could not find any more when it began, no worker uses when it ends. Control
 * thread. */
void publisher_wait(struct publisher *publisher);

/* Publishes `table`, waits until no worker reads the old one any more, and frees that. Control thread. */
void publisher_publish(struct publisher *publisher, struct table *table);

#endif
