/* What a trace of one session, or of one address, shows. There is a ring for each worker, which writes while the
 * control thread reads. Memory is bounded: a ring keeps the first TRACE_OCTETS of a datagram, and only counts datagrams
 * that find it full. */
#ifndef CIDLB_PATH_TRACE_H
#define CIDLB_PATH_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/lbcid.h"
#include "common/verdict.h"
#include "flows/flows.h"
#include "io/io.h"

enum { TRACE_OCTETS = 256, TRACE_ENTRIES = 512 };

/* What an address is to the flow that a datagram took. */
enum trace_role {
	TRACE_PROVEN,       /* of a session: its handshake made it (common/ownership.h) */
	TRACE_UNPROVEN,     /* of a session: any other */
	TRACE_OWN_ENDPOINT, /* a source with a FLOW_SOURCE */
	TRACE_HANDSHAKE,    /* the flow of the handshake that made the session */
	TRACE_ROLES,
};
const char *trace_role_name(enum trace_role role);

struct trace_entry {
	uint64_t time_us; /* since 1970 */
	bool up;          /* from the device */
	/* It left: by a flow, or in a mode without flows. Else its verdict dropped it, or it was refused. */
	bool has_flow;
	enum verdict verdict; /* up */
	struct addr from;     /* device or backend */
	uint8_t local[16];    /* the address of ours that it came to */
	uint16_t service;     /* up: number of the service address (service_addrs.h) */
	/* These are set if has_flow. */
	uint16_t backend; /* uid */
	struct addr endpoint, backend_addr;
	enum trace_role role; /* up: the role of the device */
	struct {
		struct ownership_pair pair;
		enum trace_role role;
	} to[OWNERSHIP_WAYS_BACK]; /* down */
	unsigned to_count;
	size_t len, kept; /* octets */
	uint8_t data[TRACE_OCTETS];
};

/* Whose datagrams a trace keeps: those of the session with a CID; or those from and to an address, as a handshake has
 * no CID yet. */
struct trace_of {
	size_t cid_len; /* octets, up to LBCID_MAX_OCTETS; 0: by address */
	uint8_t cid[LBCID_MAX_OCTETS];
	struct addr from; /* port 0: any */
};

struct trace_ring;

/* NULL: out of memory. */
struct trace_ring *trace_ring_new(const struct trace_of *of);
void trace_ring_free(struct trace_ring *ring);

/* For the worker. Each of these keeps the datagram if it is one that the trace is of. */

struct uplink;           /* forward.h */
struct snapshot_backend; /* snapshot.h */

/* An uplink. `flow` is the flow by which it leaves, and its lock is held. NULL: it does not leave. */
void trace_up(struct trace_ring *ring, const struct uplink *up, const struct flow *flow);

/* An uplink in a mode without flows. It goes to `backend`, which sees the device as `endpoint`. NULL: it goes nowhere.
 * Replies are not traced there, because they show no CID. */
void trace_up_stateless(struct trace_ring *ring, const struct uplink *up, const struct snapshot_backend *backend,
			const struct addr *endpoint);

/* A reply on `flow`, whose lock is held, and the `count` addresses that get it. */
void trace_down(struct trace_ring *ring, const struct io_datagram *reply, const struct flow *flow,
		const struct ownership_pair *to, unsigned count);

/* For the control thread. */

/* The oldest entry, or NULL. It stays valid until trace_drop(). */
const struct trace_entry *trace_peek(const struct trace_ring *ring);
void trace_drop(struct trace_ring *ring);

/* The number of datagrams that found the ring full. */
uint64_t trace_missed(const struct trace_ring *ring);

#endif
