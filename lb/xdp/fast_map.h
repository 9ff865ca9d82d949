/* What the program of the fast path and cidlb share: the layout of its maps.
 *
 * The program runs in the kernel for each frame that an interface receives. It forwards or drops what needs no
 * thinking, and passes everything else up unchanged. It knows nothing that is not here.
 *
 * The maps are arrays that cidlb maps into its memory, so that it needs no system call to change them:
 *
 *   fast_control   one struct fast_control
 *   fast_tables    two struct fast_table. The program reads the one that fast_control names, once per datagram. cidlb
 *                  fills the other one, and then names it. After a grace period nobody reads the old one any more
 *   fast_cids      FAST_CID_SETS struct fast_cid_set: the cache of CIDs that a table cannot open
 *   fast_slots     FAST_HASH_POOLS struct fast_slots, by uid of the pool: where the consistent hash leads. A table says
 *                  whether they may be read. They are written only while none that a program reads does
 *   fast_counts    one struct fast_counts per CPU. Only that CPU writes it
 *   fast_devices   the interfaces that frames leave through. It is not mapped; it is filled at the start
 *
 * Addresses are as in struct addr (common/addr.h): 16 octets, IPv4 mapped. Here they are two words, as they lie in
 * memory. Ports are in network order, so that a port is compared as it comes. Only for little-endian machines.
 */
#ifndef CIDLB_XDP_FAST_MAP_H
#define CIDLB_XDP_FAST_MAP_H

#include <linux/types.h>

#include "common/siphash_rounds.h"

enum {
	FAST_LISTENERS = 64,  /* STATS_LISTENERS */
	FAST_POOLS = 64,      /* STATS_POOLS */
	FAST_BACKENDS = 4096, /* STATS_BACKENDS */
	FAST_VERDICTS = 16,   /* room for enum verdict */
	FAST_SERVICES = 256,
	FAST_INTERFACES = 8,
	FAST_HOPS = 1024,
	FAST_ROUTES = 32,
	FAST_MASKS = 32,
	FAST_EMBEDS = 8,
	FAST_HASH_POOLS = 16, /* pools with a uid below have room for their slots */
	FAST_SLOT_BITS = 18,  /* RENDEZVOUS_SLOT_BITS */
	/* Rows of tables that are searched by hash: FAST_PROBES rows from that of the hash on. */
	FAST_ADDR_ROWS = 1024,
	FAST_ID_ROWS = 16384,
	FAST_ORIGIN_ROWS = 16384,
	FAST_NEIGHBOUR_ROWS = 4096,
	FAST_PROBES = 8,
	FAST_ODD_WORDS = 1024, /* of 64 bits */
	FAST_ODD_SECOND = 16,  /* from this bit of the hash on it says which the second bit is */
	FAST_CID_SETS = 65536,
	FAST_CID_WAYS = 4,
	FAST_CID_OCTETS = 20,        /* of the longest CID: LBCID_MAX_OCTETS */
	FAST_CID_ROTATIONS = 8,      /* the values of the first three bits of a CID */
	FAST_CID_LENGTHS = 4,        /* LEARNED_LENGTHS */
	FAST_KEYS = 2,               /* PROXY2_POOL_KEYS */
	FAST_FRESH = 16,             /* RESUME_FRESH */
	FAST_RECORDS = 4,            /* of a datagram with a CID. One with more is passed up */
	FAST_DATAGRAM_OCTETS = 2048, /* of the longest payload that is handled */
};

#define FAST_NO_HOP     0xffff
#define FAST_ANY_DEVICE 0xff

struct fast_ip {
	__u64 words[2];
};

/* The second word of an IPv4 address, without the address. */
#define FAST_V4_MAPPED 0xffff0000ULL

/* Where a frame goes next. */
struct fast_hop {
	__u8 to[6], from[6]; /* Ethernet addresses */
	__u16 mtu;   /* octets of the longest IP packet; 0: nobody knows the way, what goes there is passed up */
	__u8 device; /* index in fast_devices and in fast_table.interfaces */
	__u8 unused;
};
_Static_assert(sizeof(struct fast_hop) == 16, "two in a half cache line");

/* What waits at one of our addresses. */
enum fast_at { FAST_AT_NOTHING, FAST_AT_SERVICE, FAST_AT_TUNNEL };

struct fast_addr_row {
	struct fast_ip ip;
	__u16 port;
	__u8 at;    /* enum fast_at; FAST_AT_NOTHING: the row is free */
	__u8 index; /* FAST_AT_SERVICE: in services; FAST_AT_TUNNEL: uid of the pool */
	__u32 unused;
};

/* What is done with a CID, by its first three bits: those of a CID of quic-lb are its rotation. */
enum fast_cid_how {
	FAST_CID_PASSED,  /* only the C core knows */
	FAST_CID_BY_ID,   /* it shows its server id */
	FAST_CID_BY_CACHE /* it does not; the cache may know it */
};

enum fast_service_kind {
	FAST_DROPS,          /* only what is not DTLS is handled: it is dropped */
	FAST_TUNNELS,        /* mode tunnel */
	FAST_EMBEDS_DEVICES, /* mode nat without a table */
	FAST_SENDS_ON,       /* mode dsr, encap = "l2" */
	FAST_WRAPS,          /* mode dsr, encap = "ipip" */
};

/* Which replies are handled. Those of epoch 0 never are. */
enum fast_replies {
	FAST_REPLIES_PASSED,  /* none: the C core wants to see all */
	FAST_REPLIES_SETTLED, /* but for the first FAST_FRESH records of a session, which say what it can resume */
	FAST_REPLIES_ALL,
};

/* What of its source leads a datagram without a CID that is not part of a handshake. */
enum fast_hashes {
	FAST_HASHES_NOT, /* it is passed up */
	FAST_HASHES_ADDRESS,
	FAST_HASHES_ADDRESS_PORT,
};

/* A listener at one of its addresses. */
struct fast_service {
	struct fast_ip ip;
	__u16 port;
	__u8 kind;     /* enum fast_service_kind */
	__u8 listener; /* uid */
	__u8 pool;     /* uid */
	/* A CID that does not fit, or whose id no row has, is dropped. 0: it is passed up. */
	__u8 drops_unknown;
	__u8 replies;                          /* enum fast_replies */
	__u8 id_at;                            /* offset of the server id in the CID */
	__u64 id_mask[2];                      /* of the octets that are the server id */
	__u8 how[FAST_CID_ROTATIONS];          /* enum fast_cid_how */
	__u8 cid_octets[FAST_CID_ROTATIONS];   /* 1..FAST_CID_OCTETS where `how` is not FAST_CID_PASSED */
	__u8 learned_octets[FAST_CID_LENGTHS]; /* lengths of learned CIDs; 0 ends them. [0] is 0: none are learned */
	__u16 cid_generation;                  /* of what the cache has of this pool */
	/* Mode tunnel. Tags of version 2 (common/proxy2.h) begin with what is the same for all devices: what
	 * SipHash makes of that is here. */
	__u8 key_count; /* the first key signs */
	__u8 key_ids[FAST_KEYS];
	__u8 embed;  /* index in embeds; mode nat without a table */
	__u8 hashes; /* enum fast_hashes */
	__u8 unused;
	__u32 local_port; /* of the tunnel, network order; the address is that of the backend's row */
	__u32 tag_middle; /* IPv6: struct proxy2_half.middle */
	struct siphash_state tag_up;
	struct siphash_state tag_down[FAST_KEYS];
	struct siphash_state hash; /* of sources, begun */
};

/* Mode nat without a table: the addresses that carry a device's (common/embed.h). What is keyed is 12 octets: address
 * and port of the device and of the service. */
struct fast_embed {
	struct fast_ip prefix, mask;
	__u32 check_mask;                     /* the bits of the check */
	__u16 port;                           /* of all these addresses, network order */
	__u16 service;                        /* index in services */
	__u16 service_head;                   /* the first two of the service's six octets */
	__u8 pool;                            /* uid */
	__u8 key_count;                       /* the first key writes, all read */
	__u32 service_tail;                   /* the other four */
	struct siphash_state keys[FAST_KEYS]; /* begun */
};

/* A backend, by its uid. */
struct fast_backend {
	struct fast_ip ip;
	struct fast_ip local; /* what leaves for it leaves from here: tunnel.local, or the source of outer packets */
	__u16 port;
	__u8 verdict;     /* enum verdict of a CID that leads to it; none of the routed ones: passed up */
	__u8 pool;        /* uid */
	__u8 from_device; /* its replies come in through this one; FAST_ANY_DEVICE: through any */
	__u8 v6;          /* `ip` is not a mapped IPv4 address */
	__u8 unused[10];
	struct fast_hop hop;
};
_Static_assert(sizeof(struct fast_backend) == 64, "a cache line");

/* A server id and its backend: 15 octets of the id, those behind it 0, and the uid of the pool as the sixteenth. */
struct fast_id_row {
	__u64 id[2];
	__u16 backend; /* uid */
	__u8 used;     /* 0: the row is free */
	__u8 unused[5];
};

/* An address that replies come from, and the backend there. The pool is its uid. */
struct fast_origin_row {
	struct fast_ip ip;
	__u16 port;
	__u16 backend; /* uid */
	__u8 pool;
	__u8 used; /* 0: the row is free */
	__u8 unused[2];
};

/* A neighbour on a link that has no gateway. */
struct fast_neighbour_row {
	struct fast_ip ip;
	__u16 hop; /* index in hops */
	__u8 used; /* 0: the row is free */
	__u8 unused[5];
};

/* Addresses that begin alike. A packet goes by the first route that has its address. */
struct fast_route {
	struct fast_ip ip, mask;
	__u16 hop; /* index in hops; FAST_NO_HOP: by the row of the neighbour */
	__u8 unused[6];
};

struct fast_mask {
	struct fast_ip ip, mask;
};

struct fast_interface {
	__u32 ifindex; /* 0 ends them */
	__u8 mac[6];
	__u8 unused[2];
};

/* What an address begins with, by its first octet. */
enum { FAST_BEGIN_PASSED = 1 /* passed up */, FAST_BEGIN_ASK = 2 /* a mask may have it */ };
enum { FAST_BEGIN_V4 = 0, FAST_BEGIN_V6 = 256 };

struct fast_table {
	__u64 key;              /* of the hashes */
	__u64 cid_masks[32][3]; /* by the length of a CID: which octets of three words belong to it */
	struct fast_interface interfaces[FAST_INTERFACES];
	/* Sources that are not those of usual devices: cidlb, backends, this host. Two bits of `odd` are set for the
	 * hash of each such address. Who has the same two, of a hundred of them one of 100,000, is passed up as well.
	 */
	__u8 begins[2 * 256];
	struct fast_mask masks[FAST_MASKS];
	__u32 mask_count;
	__u32 route_count[2]; /* 0: IPv4, 1: IPv6; 0 routes: replies are passed up */
	__u32 embed_count;
	struct fast_route routes[2][FAST_ROUTES];
	__u64 odd[FAST_ODD_WORDS];
	struct fast_hop hops[FAST_HOPS];
	struct fast_addr_row addrs[FAST_ADDR_ROWS];
	struct fast_service services[FAST_SERVICES];
	struct fast_embed embeds[FAST_EMBEDS];
	struct fast_neighbour_row neighbours[FAST_NEIGHBOUR_ROWS];
	struct fast_origin_row origins[FAST_ORIGIN_ROWS];
	struct fast_id_row ids[FAST_ID_ROWS];
	struct fast_backend backends[FAST_BACKENDS] __attribute__((aligned(64)));
};

/* A CID and where it leads. `meta`: 32 bits of the CID's hash, its generation, and the uid of its backend. So whoever
 * reads an entry while it changes finds that the two do not belong together. The third word of a CID has the four
 * octets that a CID can still have there; behind them the length and the uid of the pool. */
struct fast_cid {
	__u64 cid[3];
	__u64 meta; /* 0: the entry is free */
};

struct fast_cid_set {
	struct fast_cid at[FAST_CID_WAYS];
};

/* Where the consistent hash of a pool leads, by its upper bits: uids of backends; 0xffff: nowhere. */
struct fast_slots {
	__u16 backend[1 << FAST_SLOT_BITS];
};

/* Why a datagram for a service was passed up. */
enum fast_passed {
	FAST_PASSED_FRAME,   /* padding, TTL below 2, another's frame, a checksum that is wrong or missing, too long */
	FAST_PASSED_SOURCE,  /* its source is not that of a usual device */
	FAST_PASSED_RECORDS, /* a handshake; no CID where it is not hashed; too many or too short records */
	FAST_PASSED_CID,     /* only the C core knows where the CID leads */
	FAST_PASSED_BACKEND, /* in maint, or nobody knows the way there */
	FAST_PASSED_SIZE,    /* too large for the way */
	FAST_PASSED_SAMPLE,  /* it would have been dropped; a few go up for the log */
	FAST_PASSES,
	FAST_PASSES_ROOM = 8,
};

struct fast_sent {
	__u64 datagrams, octets;
};

/* Datagrams. What is passed up is in `passed` alone: whoever takes it counts it.
 *
 *   sum of verdicts = received here
 *   sum of the routed ones = sent_up + hashed_up + refused_up
 *   replies = sent_down + refused_down */
struct fast_counts {
	__u64 verdicts[FAST_LISTENERS][FAST_VERDICTS];
	__u64 passed[FAST_LISTENERS][FAST_PASSES_ROOM];
	/* Octets of payloads. hashed_up: without a CID. */
	struct fast_sent sent_up[FAST_BACKENDS], hashed_up[FAST_BACKENDS], sent_down[FAST_BACKENDS];
	__u64 replies[FAST_POOLS];
	__u64 refused_up[FAST_POOLS], refused_down[FAST_POOLS];
	/* The program's own. */
	__u64 sample_at; /* when the last samples were taken, in units of FAST_SAMPLE_JIFFIES */
	__u64 alive_at;  /* when it was last looked whether cidlb is gone, in the same units */
	__u32 gone;      /* it was */
	__u32 unused;
	__u32 sample_left; /* how many may still be taken */
	__u32 packet_id;   /* of the last packet that left over IPv4 */
};

/* Of what is dropped, so many are passed up in so many ticks of the kernel's clock, on each CPU. */
enum { FAST_SAMPLE_JIFFIES = 64, FAST_SAMPLES = 4 };

struct fast_control {
	__u32 table;    /* which of the two is read */
	__u32 pass_all; /* not 0: everything is passed up */
	/* By CLOCK_MONOTONIC, in nanoseconds: from then on everything is passed up, because cidlb has been gone for too
	 * long. It is looked at every FAST_SAMPLE_JIFFIES. */
	__u64 alive_until_ns;
	/* By uid of a backend. Not 0: it reads version 2 of the tunnel's header, the only one that is written here. */
	__u8 reads_v2[FAST_BACKENDS];
};

/* A light hash. The key is random, and nobody outside sees what comes of it. */
static inline __attribute__((always_inline)) __u64 fast_hash(__u64 key, __u64 a, __u64 b)
{
	__u64 hash = (a ^ key) * 0xbf58476d1ce4e5b9ULL ^ (b + key) * 0x94d049bb133111ebULL;

	hash ^= hash >> 32;
	return hash * 0xbf58476d1ce4e5b9ULL >> 16; /* 48 bits */
}

static inline __attribute__((always_inline)) __u64 fast_hash_addr(__u64 key, const struct fast_ip *ip, __u16 port)
{
	return fast_hash(key, ip->words[0] ^ port, ip->words[1]);
}

/* meta of an entry of the cache. `hash` is fast_hash_cid(). */
static inline __attribute__((always_inline)) __u64 fast_cid_meta(__u64 hash, __u16 generation, __u16 backend)
{
	return hash >> 16 << 32 | (__u64)generation << 16 | backend;
}

static inline __attribute__((always_inline)) __u64 fast_hash_cid(__u64 key, const __u64 cid[3])
{
	return fast_hash(key ^ cid[2], cid[0], cid[1]);
}

#endif
