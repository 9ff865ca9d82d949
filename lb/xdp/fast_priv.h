/* The fast path from inside. For fast*.c only. */
#ifndef CIDLB_XDP_FAST_PRIV_H
#define CIDLB_XDP_FAST_PRIV_H

#include <stdatomic.h>

#include "common/siphash.h"
#include "io/io.h"
#include "io/netlink.h"
#include "xdp/fast.h"
#include "xdp/net_read.h"
#include "xdp/pins.h"
#include "xdp/program.h"
#include "xdp/slots.h"

struct fast {
	struct fast_program *program; /* NULL: there is none to be had */
	struct fast_place places[CONF_MAX_INTERFACES];
	size_t place_count;
	struct fast_pin pins[CONF_MAX_INTERFACES]; /* of each place */
	bool taken[CONF_MAX_INTERFACES];           /* by another cidlb */
	struct fast_links *left;                   /* during the start */
	uint32_t linger_s;
	uid_t uid; /* whom cidlb becomes */
	gid_t gid;
	struct worker *const *workers;
	unsigned worker_count;
	struct path_cid_cache cid_cache;
	uint64_t key;                 /* of the hashes */
	_Atomic uint16_t generation;  /* of the CIDs in the cache */
	struct siphash_key homes_key; /* of homes_digest */
	uint64_t homes_digest;        /* of where CIDs lead that do not show it */
	const struct table *table;    /* the published one; NULL: none yet */
	struct fast_hashing hashing;
	unsigned rests; /* of enum fast_rest */
	/* The network. */
	struct netlink *netlink;
	struct fast_around *around;
	int asker[IO_FAMILIES]; /* -1: not open */
	bool net_changed, net_failed;
	unsigned left_out; /* of the last table */
	uint64_t filled_ms, asked_ms, counted_ms;
	/* By uid. */
	struct addr addrs[STATS_BACKENDS]; /* of backends, as the program was told */
	uint16_t in_use[STATS_BACKENDS];   /* uids of the backends that it forwards to */
	size_t in_use_count;
	struct addr wanted[STATS_BACKENDS];
	/* Counters: now, at the last tick, and what does not count any more. */
	struct fast_counts now, before, base;
};

/* fast_attach.c: the program is not to be had there, because of this. */
__attribute__((format(printf, 2, 3))) void fast_refuse(struct fast_place *place, const char *format, ...);

/* Puts it on those interfaces that are an Ethernet, and has the places say what came of it. From an interface with the
 * one kind frames may not leave through one with the other: so auto has one kind on all. */
void fast_attach(struct fast *fast, enum conf_attach how, const uint32_t *ifindexes, const bool *usable);

/* fast_cids.c: the cache of CIDs, as workers see it. */
void fast_cache_open(struct fast *fast);

/* A digest of where the CIDs lead that the cache may have. */
uint64_t fast_homes_digest(const struct fast *fast, const struct table *table);

/* What the cache has holds no more. */
void fast_cache_empty(struct fast *fast);

/* fast_follow.c: the program may go on for so long. */
void fast_live_on(struct fast *fast);

/* fast_count.c: reads the counters into fast->now. */
void fast_count(struct fast *fast);

/* fast_net.c: hears of changes, and asks after neighbours. True: the program's table is out of date. */
bool fast_net_tick(struct fast *fast, uint64_t now_ms);

/* Reads the network. False: it is not known. */
bool fast_net_look(struct fast *fast);

void fast_net_close(struct fast *fast);

#endif
