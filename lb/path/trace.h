/* What a trace of one session shows: a ring per worker, which writes while the control thread reads. Bounded: of a
 * datagram the first TRACE_OCTETS are kept, and what finds its ring full is only counted.
 */
#ifndef CIDLB_PATH_TRACE_H
#define CIDLB_PATH_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/verdict.h"
#include "flows/flows.h"
#include "io/io.h"

enum { TRACE_OCTETS = 256, TRACE_ENTRIES = 512 };

/* What an address is to the flow that a datagram took. */
enum trace_role {
	TRACE_OWNER,
	TRACE_CLAIMANT,
	TRACE_REPLACED,     /* neither, but still sent copies */
	TRACE_OWN_ENDPOINT, /* FLOW_SOURCE */
	TRACE_HANDSHAKE,    /* the flow of the handshake that made the session */
	TRACE_ROLES,
};
const char *trace_role_name(enum trace_role role);

struct trace_entry {
	uint64_t time_us;     /* since 1970 */
	bool up;              /* from the device */
	bool has_flow;        /* or a tunnel; else it was dropped by its verdict, or no flow was to be had */
	enum verdict verdict; /* up */
	struct addr from;     /* device or backend */
	uint8_t local[16];    /* ours, that it came to */
	uint16_t service;     /* up: service_addrs.h */
	/* If has_flow. */
	uint16_t backend; /* stable number */
	struct addr endpoint, backend_addr;
	enum trace_role role; /* up: the device's */
	struct {
		struct ownership_peer peer;
		enum trace_role role;
	} to[OWNERSHIP_WAYS_BACK]; /* down */
	unsigned to_count;
	size_t len, kept; /* octets */
	uint8_t data[TRACE_OCTETS];
};

struct trace_ring;

/* cid_len: 1..LBCID_MAX_OCTETS. NULL: out of memory. */
struct trace_ring *trace_ring_new(const uint8_t *cid, size_t cid_len);
void trace_ring_free(struct trace_ring *ring);

/* The worker: takes the datagram down if it is of the session. */

struct uplink;           /* forward.h */
struct snapshot_backend; /* snapshot.h */

/* flow (its lock is held): the one by which it leaves; NULL: it does not leave. */
void trace_up(struct trace_ring *ring, const struct uplink *up, const struct flow *flow);

/* Without flows: to `backend`, which sees the device as `endpoint`; NULL: nowhere. Replies show no CID. */
void trace_up_stateless(struct trace_ring *ring, const struct uplink *up, const struct snapshot_backend *backend,
			const struct addr *endpoint);

/* A reply on `flow`, whose lock is held, and who gets it. */
void trace_down(struct trace_ring *ring, const struct io_datagram *reply, const struct flow *flow,
		const struct ownership_peer *to, unsigned count);

/* The control thread. */

/* The oldest entry, or NULL. It stays until it is dropped. */
const struct trace_entry *trace_peek(const struct trace_ring *ring);
void trace_drop(struct trace_ring *ring);

/* How many datagrams found the ring full. */
uint64_t trace_missed(const struct trace_ring *ring);

#endif
