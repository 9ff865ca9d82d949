/* What the program of cidlb-decap and its command share. Included by both: types of the kernel alone. */
#ifndef CIDLB_DECAP_MAP_H
#define CIDLB_DECAP_MAP_H

#include <linux/types.h>

enum { DECAP_ADDRESSES = 64 /* of each kind */ };

/* Key of both maps of addresses; IPv4 as ::ffff:a.b.c.d, network order. The value says nothing. */
struct decap_ip {
	__u32 words[4];
};

/* Packets in packets to one of our addresses. All others are not counted. */
enum decap_count {
	DECAP_TAKEN,    /* the outer packet was taken off */
	DECAP_STRANGER, /* passed up: from an address that is no node's */
	DECAP_ODD,      /* passed up: a fragment, options, cut short, marked as congested, or no UDP in it */
	DECAP_COUNTS,
};

#endif
