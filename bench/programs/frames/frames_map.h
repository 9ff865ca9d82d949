/* What the programs for the kernel (frames.bpf.c) and cidlb-frames share: one struct in one map, which cidlb-frames
 * maps into its memory. Only for little-endian machines. */
#ifndef CIDLB_BENCH_FRAMES_MAP_H
#define CIDLB_BENCH_FRAMES_MAP_H

#include <linux/types.h>

/* clang-format off */
enum {
	FRAME_HEAD_OCTETS = 64, /* Ethernet, IPv4, UDP, and a record up to the end of its CID and length */
	FRAME_SUM_AT = 40, FRAME_SOURCE_AT = 26, FRAME_IP_SUM_AT = 24,
	FRAME_CID_AT = 53,      /* the server's number, 1, 2, ... */
	FRAME_DEVICE_AT = 54,   /* the device's, 4 octets in network order */
};
/* clang-format on */

/* Datagrams. */
struct frames_counts {
	__u64 sent;
	__u64 arrived;      /* at a server */
	__u64 elsewhere;    /* of these: at another than the CID names */
	__u64 unread;       /* at a server, and no datagram of these, or not with the header that it reads */
	__u64 returned;     /* at a device */
	__u64 misdelivered; /* of these: to another than the CID names */
};

struct frames {
	/* Settings. */
	__u64 head[FRAME_HEAD_OCTETS / 8]; /* of each frame; without what its device adds */
	__u64 key[2];                      /* of the tunnel */
	__u64 burst_ns;                    /* from one burst to the next; 0: frames are sent as fast as can be */
	__u32 burst;
	__u32 sum;     /* what `head` and the rest of the datagram add to the checksum of UDP */
	__u32 ip_sum;  /* what `head` adds to that of IPv4 */
	__u32 devices; /* the first address, as a number */
	__u32 sources, servers;
	__u32 server_port; /* of the first server */
	__u32 through;     /* the interface that frames are sent into */
	__u32 tunnel;      /* not 0: servers read the header of mode tunnel, version 2 */
	__u32 one_way;     /* not 0: servers do not answer */
	__u32 floor[2];    /* interfaces: what comes in through one leaves through the other. 0: it is dropped */
	/* How far it is. */
	__u32 at, left;
	__u64 next_ns;
	struct frames_counts counts;
};

#endif
