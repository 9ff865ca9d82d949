/* Pools of every kind, published to a program of the fast path that is attached to nothing: BPF_PROG_TEST_RUN gives it
 * frames. Devices are behind a gateway, backends on a link, and the same interface is both. */
#ifndef CIDLB_TESTS_ORACLE_FAST_BED_H
#define CIDLB_TESTS_ORACLE_FAST_BED_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/lib/dice.h"
#include "path/forward.h"
#include "xdp/cids.h"
#include "xdp/fill.h"
#include "xdp/program.h"
#include "xdp/slots.h"

enum pool_kind {
	POOL_NODE_ID,
	POOL_NODE_ID_HASHED, /* unknown CIDs are hashed; ids of two octets in the middle; tunnel over IPv6 */
	POOL_QUIC_LB, /* three rotations: plain, encrypted in four passes, encrypted in one; affinity "address" */
	POOL_LEARNED,
	POOL_STATELESS, /* mode nat without a table; node ids, devices over IPv4 only */
	POOL_L2,        /* mode dsr, with node ids; each with devices over its own version of IP only */
	POOL_IPIP,
	POOL_L2_V6, /* the same, with CIDs as of POOL_QUIC_LB */
	POOL_IPIP_V6,
	POOL_NONE,
	POOL_HASHED,
	POOL_NAT,   /* with flows; node ids; only what is not DTLS is handled */
	POOL_PLAIN, /* UDP; nothing is handled */
	POOL_KINDS,
};

/* What is special about a backend. */
enum cast {
	CAST_UP,
	CAST_DRAINS,
	CAST_DOWN,
	CAST_MAINT,
	CAST_NOWHERE,   /* its name was never resolved */
	CAST_OLD,       /* reads version 1 of the header only */
	CAST_NARROW,    /* the way there takes packets of NARROW_MTU octets */
	CAST_BROKEN,    /* frames for it cannot leave: the interface takes none */
	CAST_ANOTHER,   /* leaves through another interface */
	CAST_ELSEWHERE, /* replies come in through another interface */
	CASTS,
};

enum {
	NARROW_MTU = 300,
	MTU = 1500,
	FIRST_PORT = 5680,    /* of listeners; that of pool i is this and i */
	WILDCARD_PORT = 5700, /* of a wildcard listener of pool POOL_NODE_ID, over IPv4 */
	TUNNEL_PORT = 7200,   /* of the tunnels, likewise and i */
	EMBED_PORT = 7300,    /* of the addresses that carry a device's */
	SESSIONS = 64,        /* CIDs of a pool that show up again and again */
};

struct session {
	uint8_t cid[20];
	uint8_t len;
};

struct bed {
	struct dice dice;
	struct table *table;
	struct fast_net *net;
	struct fast_program *program;
	struct fast_cids cids;
	struct session sessions[POOL_KINDS][SESSIONS];
	unsigned cpu;
};

/* 0, or -errno: why says what is not to be had here. */
int bed_open(struct bed *bed, uint64_t seed, char why[static EBPF_WHY_OCTETS]);
void bed_close(struct bed *bed);

/* Publishes the table anew, as it is now. 0, or -errno: without a grace period. The second writes over the one that is
 * read, which is wrong. */
int bed_publish(struct bed *bed);
int bed_overwrite(struct bed *bed);

/* This thread may run on any CPU from now on. bed_counts() is of no use any more. */
void bed_leave(struct bed *bed);

/* Below `below`. */
unsigned roll(struct bed *bed, unsigned below);
static inline bool one_in(struct bed *bed, unsigned n)
{
	return roll(bed, n) == 0;
}

/* The service address of a pool, and the listener there. */
struct addr bed_service(const struct bed *bed, enum pool_kind pool, bool v6);
uint16_t bed_listener(enum pool_kind pool, bool v6);
/* It is of mode dsr, and there its packets are wrapped into others. */
bool bed_is_dsr(enum pool_kind pool);
bool bed_wraps(enum pool_kind pool);
/* Its CIDs are those of three rotations. */
bool bed_has_rotations(enum pool_kind pool);
/* Devices reach the pool over this version of IP. */
bool bed_listens(enum pool_kind pool, bool v6);
/* What outer packets leave from, in mode dsr. */
struct addr bed_outer_source(enum pool_kind pool);
/* The pool's datagrams leave for a backend over IPv6. */
bool bed_outer_v6(enum pool_kind pool);
struct addr bed_backend_addr(enum pool_kind pool, enum cast cast);
uint16_t bed_uid(enum pool_kind pool, enum cast cast);
extern const uint8_t bed_mac[6], bed_gateway_mac[6], bed_backend_mac[6];

/* What the program makes of a frame: the action. It returns the frame in `out`. */
struct outcome {
	unsigned action;
	uint8_t frame[4096];
	size_t octets;
};
void bed_run(struct bed *bed, const uint8_t *frame, size_t octets, struct outcome *out);

const struct fast_counts *bed_counts(const struct bed *bed);

#endif
