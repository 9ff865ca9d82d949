/* The flow table for a reader: plain copies of the flows that somebody asks for. Control thread. */
#ifndef CIDLB_FLOWS_VIEW_H
#define CIDLB_FLOWS_VIEW_H

#include "flows/flows.h"

/* One flow, as it was when it was looked at. */
struct flow_description {
	enum flow_kind kind;
	uint16_t pool, backend; /* uids */
	bool trial;
	uint8_t cid_len; /* octets; CID, SOURCE */
	uint8_t cid[LBCID_MAX_OCTETS];
	struct addr endpoint, backend_addr;
	struct ownership_peer owner;
	struct ownership_peer claimant;       /* CID, if claimed */
	struct ownership_peer proven, former; /* CID, if has_…: replaced, but still sent copies */
	bool has_proven, has_former;
	bool owner_proven, claimed, contest;
	unsigned copies, contests;           /* at most FLOW_COUNTED and 255 */
	uint32_t created_ms, up_ms, down_ms; /* down: if `replied` */
	bool replied;
};

struct flows_filter {
	const uint8_t *cid; /* NULL: any */
	size_t cid_len;
	const struct addr *from; /* the address of its owner or claimant; port 0: any port; NULL: anywhere */
};

/* Describes the first `limit` live flows that match; returns how many match. */
size_t flows_describe(struct flows *flows, const struct flows_filter *filter, uint32_t now_ms,
		      struct flow_description *out, size_t limit);

#endif
