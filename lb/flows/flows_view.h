/* The flow table for a reader: plain copies of the flows that somebody asks for. Control thread. */
#ifndef CIDLB_FLOWS_VIEW_H
#define CIDLB_FLOWS_VIEW_H

#include "flows/flows.h"

/* An address of a session that is not proven (ownership.h). */
struct flow_place {
	struct ownership_pair pair;
	bool answered, known, withheld;
};

/* One flow, as it was when it was looked at. */
struct flow_description {
	enum flow_kind kind;
	enum flow_class class;
	uint16_t pool, backend; /* uids */
	uint8_t cid_len;        /* octets; CID, SOURCE; ADDRESS: if its handshake gave one */
	uint8_t cid[LBCID_MAX_OCTETS];
	struct addr endpoint, backend_addr;
	bool has_device;
	struct ownership_pair device;                    /* CID: its proven address; else its source */
	struct flow_place places[OWNERSHIP_PLACES_HOME]; /* CID */
	unsigned place_count;
	unsigned copies, withheld, moves;    /* at most FLOW_COUNTED */
	uint32_t octets;                     /* both ways, at most UINT32_MAX */
	uint32_t created_ms, up_ms, down_ms; /* down: if `replied` */
	bool replied;
	uint32_t rank; /* in the order that was asked for */
};

/* The addresses that a flow knows, whose lock is held: its source, or the proven address of its session if there is
 * one, and then those that are not proven. Fills `pairs`, and returns how many there are. */
unsigned flow_pairs(const struct flow *flow, struct ownership_pair pairs[static OWNERSHIP_WAYS_BACK]);

enum flows_order { FLOWS_ANY_ORDER, FLOWS_MOST_MOVES, FLOWS_MOST_OCTETS, FLOWS_LONGEST_SILENT };

struct flows_filter {
	const uint8_t *cid; /* NULL: any */
	size_t cid_len;
	const struct addr *from; /* an address of its device; port 0: any port; NULL: anywhere */
	uint64_t older_ms;       /* only those whose device has been silent for longer; 0: any */
	uint32_t now_ms;
	enum flows_order order;
};

/* Describes `limit` of the live flows that match: any, or the first in that order. Returns how many match. */
size_t flows_describe(struct flows *flows, const struct flows_filter *filter, struct flow_description *out,
		      size_t limit);

#endif
