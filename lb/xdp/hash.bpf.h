/* Datagrams without a CID go by the consistent hash of their source (common/rendezvous.h). Only those of sessions: what
 * begins a handshake, or goes on with one, cidlb wants to see. A service says that its pool's datagrams go by the hash
 * only while nothing else may lead them (xdp/slots.h). */
#ifndef CIDLB_XDP_HASH_BPF_H
#define CIDLB_XDP_HASH_BPF_H

#include "xdp/walk.bpf.h"

/* Where a datagram leads: the uid of a backend, or one of these. */
enum {
	LED_PASSED = 1 << 16,  /* and why */
	LED_DROPPED = 1 << 17, /* and the verdict */
	LED_HASHED = 1 << 18,  /* and the uid */
};

/* As siphash_addr(). */
static __always_inline __u64 hash_source(const struct fast_service *service, const struct packet *packet, const bool v6)
{
	const bool with_port = service->hashes == FAST_HASHES_ADDRESS_PORT;
	const __u64 port = with_port ? packet->source_port : 0;
	const __u64 octets = (v6 ? 16 : 4) + (with_port ? 2 : 0);
	struct siphash_state state = service->hash;

	if (!v6)
		return siphash_end(&state, packet->source.words[1] >> 32 | port << 32, octets);
	siphash_absorb(&state, packet->source.words[0]);
	siphash_absorb(&state, packet->source.words[1]);
	return siphash_end(&state, port, octets);
}

/* For what begins with a record without a CID that is DTLS. */
static __always_inline __u64 lead_by_hash(const struct fast_service *service, const struct packet *packet,
					  const __u8 *data, __u64 len, const bool v6)
{
	const __u32 pool = service->pool;
	const struct fast_slots *slots;
	__u64 uid;

	if (service->hashes == FAST_HASHES_NOT || !walk_is_of_session(data, len))
		return LED_PASSED | FAST_PASSED_RECORDS;
	slots = bpf_map_lookup_elem(&fast_slots, &pool);
	if (!slots)
		return LED_PASSED | FAST_PASSED_RECORDS;
	uid = slots->backend[hash_source(service, packet, v6) >> (64 - FAST_SLOT_BITS)];
	return uid == NOBODY ? LED_PASSED | FAST_PASSED_BACKEND : LED_HASHED | uid;
}

#endif
