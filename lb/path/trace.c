#include "path/trace.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "path/forward.h"

struct trace_ring {
	struct trace_of of;
	_Alignas(64) _Atomic size_t written; /* the worker writes it */
	_Atomic uint64_t missed;
	_Alignas(64) _Atomic size_t read; /* the control thread writes it */
	struct trace_entry entries[TRACE_ENTRIES];
};

const char *trace_role_name(enum trace_role role)
{
	static const char *const names[TRACE_ROLES] = {
		[TRACE_PROVEN] = "proven",
		[TRACE_UNPROVEN] = "unproven",
		[TRACE_OWN_ENDPOINT] = "own_endpoint",
		[TRACE_HANDSHAKE] = "handshake",
	};

	return names[role];
}

struct trace_ring *trace_ring_new(const struct trace_of *of)
{
	struct trace_ring *ring = aligned_alloc(_Alignof(struct trace_ring), sizeof *ring);

	if (!ring)
		return NULL;
	memset(ring, 0, sizeof *ring);
	ring->of = *of;
	return ring;
}

void trace_ring_free(struct trace_ring *ring)
{
	free(ring);
}

static struct trace_entry *entry_begin(struct trace_ring *ring, const struct io_datagram *datagram)
{
	const size_t written = atomic_load_explicit(&ring->written, memory_order_relaxed);
	struct trace_entry *entry = &ring->entries[written % TRACE_ENTRIES];
	struct timespec now;

	if (written - atomic_load_explicit(&ring->read, memory_order_acquire) == TRACE_ENTRIES) {
		stats_add(&ring->missed, 1);
		return NULL;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	*entry = (struct trace_entry){
		.time_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000,
		.from = datagram->from,
		.len = datagram->len,
		.kept = datagram->len < TRACE_OCTETS ? datagram->len : TRACE_OCTETS,
	};
	memcpy(entry->local, datagram->local, sizeof entry->local);
	memcpy(entry->data, datagram->data, entry->kept);
	return entry;
}

static void entry_end(struct trace_ring *ring)
{
	atomic_fetch_add_explicit(&ring->written, 1, memory_order_release);
}

static enum trace_role role_of(const struct flow *flow, const struct ownership_pair *pair)
{
	switch ((enum flow_kind)flow->kind) {
	case FLOW_ADDRESS:
	case FLOW_HELLO:
		return TRACE_HANDSHAKE;
	case FLOW_SOURCE:
		return TRACE_OWN_ENDPOINT;
	case FLOW_CID:
		break;
	}
	return ownership_is_proven(&flow->session, pair) ? TRACE_PROVEN : TRACE_UNPROVEN;
}

static void entry_take_flow(struct trace_entry *entry, const struct flow *flow)
{
	entry->has_flow = true;
	entry->backend = flow->backend;
	entry->endpoint = flow->endpoint;
	entry->backend_addr = flow->backend_addr;
}

static bool is_of_address(const struct trace_of *of, const struct addr *device)
{
	return memcmp(of->from.ip, device->ip, sizeof device->ip) == 0 &&
	       (of->from.port == 0 || of->from.port == device->port);
}

static bool is_of_cid(const struct trace_of *of, const uint8_t *cid, size_t cid_len)
{
	return cid_len == of->cid_len && memcmp(cid, of->cid, cid_len) == 0;
}

/* A dropped datagram has no CID that was opened. It only has octets where one would be. */
static bool shows_cid(const struct trace_of *of, const struct uplink *up)
{
	const struct io_datagram *datagram = up->datagram;

	return up->pool->protocol == POOL_DTLS && up->view->kind == DTLS_CID &&
	       datagram->len - up->view->cid_at >= of->cid_len &&
	       memcmp(datagram->data + up->view->cid_at, of->cid, of->cid_len) == 0;
}

static bool is_of_uplink(const struct trace_of *of, const struct uplink *up, const struct flow *flow)
{
	if (of->cid_len == 0)
		return is_of_address(of, &up->datagram->from);
	return flow ? is_of_cid(of, flow->cid, flow->cid_len) : shows_cid(of, up);
}

void trace_up(struct trace_ring *ring, const struct uplink *up, const struct flow *flow)
{
	struct trace_entry *entry;

	if (!is_of_uplink(&ring->of, up, flow))
		return;
	entry = entry_begin(ring, up->datagram);
	if (!entry)
		return;
	entry->up = true;
	entry->verdict = up->decision->verdict;
	entry->service = up->service;
	if (flow) {
		entry_take_flow(entry, flow);
		entry->role = role_of(flow, &(struct ownership_pair){ entry->from, up->service });
	}
	entry_end(ring);
}

void trace_up_stateless(struct trace_ring *ring, const struct uplink *up, const struct snapshot_backend *backend,
			const struct addr *endpoint)
{
	const struct route_out *decision = up->decision;
	const bool is_it = ring->of.cid_len == 0 ? is_of_address(&ring->of, &up->datagram->from)
						 : is_of_cid(&ring->of, decision->cid, decision->cid_len);
	struct trace_entry *entry = is_it ? entry_begin(ring, up->datagram) : NULL;

	if (!entry)
		return;
	entry->up = true;
	entry->verdict = decision->verdict;
	entry->service = up->service;
	if (backend) {
		entry->has_flow = true;
		entry->backend = backend->uid;
		entry->endpoint = *endpoint;
		entry->backend_addr = backend->addr;
		entry->role = TRACE_UNPROVEN;
	}
	entry_end(ring);
}

static bool is_of_reply(const struct trace_of *of, const struct flow *flow, const struct ownership_pair *to,
			unsigned count)
{
	bool found = false;

	if (of->cid_len > 0)
		return is_of_cid(of, flow->cid, flow->cid_len);
	for (unsigned i = 0; i < count; i++)
		found = found || is_of_address(of, &to[i].device);
	return found;
}

void trace_down(struct trace_ring *ring, const struct io_datagram *reply, const struct flow *flow,
		const struct ownership_pair *to, unsigned count)
{
	struct trace_entry *entry = is_of_reply(&ring->of, flow, to, count) ? entry_begin(ring, reply) : NULL;

	if (!entry)
		return;
	entry_take_flow(entry, flow);
	for (entry->to_count = 0; entry->to_count < count; entry->to_count++) {
		entry->to[entry->to_count].pair = to[entry->to_count];
		entry->to[entry->to_count].role = role_of(flow, &to[entry->to_count]);
	}
	entry_end(ring);
}

const struct trace_entry *trace_peek(const struct trace_ring *ring)
{
	const size_t read = atomic_load_explicit(&ring->read, memory_order_relaxed);

	return atomic_load_explicit(&ring->written, memory_order_acquire) == read
		       ? NULL
		       : &ring->entries[read % TRACE_ENTRIES];
}

void trace_drop(struct trace_ring *ring)
{
	atomic_fetch_add_explicit(&ring->read, 1, memory_order_release);
}

uint64_t trace_missed(const struct trace_ring *ring)
{
	return atomic_load_explicit(&ring->missed, memory_order_relaxed);
}
