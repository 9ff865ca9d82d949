#include "bench/programs/churn/cidlb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/route.h"
#include "common/snapshot.h"

enum { BY_CID, BY_ADDRESS, POOLS };

enum { CID_OCTETS = 8, ID_OCTETS = 2, RECORD_OCTETS = 11 + CID_OCTETS + 2 + 17, HELLO_OCTETS = 13 + 12 };

struct cidlb {
	struct snapshot *snapshot;
};

static const struct siphash_key key = { 0x6964636c622d6368, 0x75726e2d6b657931 };

static const struct cid_layout node_id = {
	.scheme = CID_LAYOUT_ID,
	.lbcid = { .scheme = LBCID_NODE_ID, .length = CID_OCTETS, .size = ID_OCTETS },
	.length = CID_OCTETS
};

/* A DTLS 1.2 record with a CID (RFC 9146, section 4), the least of CCM_8; the CID is filled in. */
static const uint8_t record[RECORD_OCTETS] = {
	25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1, [11 + CID_OCTETS + 1] = 17,
};

/* The head of a ClientHello, which is all that is read of it. */
static const uint8_t hello[HELLO_OCTETS] = {
	22, 0xfe, 0xfd, [12] = 12, [13] = 1,
};

static const uint8_t data_without_cid[13 + 17] = {
	23, 0xfe, 0xfd, 0, 1, [12] = 17,
};

int cidlb_new(struct cidlb **out)
{
	*out = calloc(1, sizeof **out);
	return *out ? 0 : -ENOMEM;
}

void cidlb_free(struct cidlb *cidlb)
{
	if (!cidlb)
		return;
	snapshot_free(cidlb->snapshot);
	free(cidlb);
}

/* The uid of a backend is the number of its member, and its server id is one more. `drain`: the state of those that
 * are draining. Returns how many there are. */
static size_t backends_fill(struct snapshot_backend *backends, struct snapshot_id *ids, const struct member *members,
			    size_t count, enum backend_admin drain)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		const struct member *member = &members[i];
		if (member->state == MEMBER_ABSENT)
			continue;
		backends[n] = (struct snapshot_backend){
			.name = member->name,
			.uid = (uint16_t)i,
			.weight = member->weight,
			.health = member->state == MEMBER_DOWN ? BACKEND_DOWN : BACKEND_UP,
			.admin = member->state == MEMBER_DRAINING ? drain : BACKEND_READY,
		};
		ids[n].backend = (uint16_t)n;
		cid_id_from_number(&ids[n].id, &node_id, i + 1);
		n++;
	}
	return n;
}

int cidlb_publish(struct cidlb *cidlb, const struct member *members, size_t count)
{
	static const char *const names[POOLS] = { "by-cid", "by-address" };
	static const enum backend_admin drain[POOLS] = { BACKEND_DRAIN, BACKEND_READY };
	struct snapshot_backend backends[POOLS][MEMBERS_MAX];
	struct snapshot_id ids[POOLS][MEMBERS_MAX];
	struct snapshot_pool_spec specs[POOLS];
	struct snapshot *next;

	for (uint16_t i = 0; i < POOLS; i++) {
		specs[i] = (struct snapshot_pool_spec){ .name = names[i], .uid = i, .backends = backends[i] };
		specs[i].backend_count = backends_fill(backends[i], ids[i], members, count, drain[i]);
	}
	specs[BY_CID].layout = node_id;
	specs[BY_CID].ids = ids[BY_CID];
	specs[BY_CID].id_count = specs[BY_CID].backend_count;
	next = snapshot_build(&key, specs, POOLS, cidlb->snapshot);
	if (!next)
		return -ENOMEM;
	snapshot_free(cidlb->snapshot);
	cidlb->snapshot = next;
	return 0;
}

uint64_t cidlb_hash(const struct cidlb *cidlb, const struct addr *source)
{
	return siphash_addr(&cidlb->snapshot->pools[BY_ADDRESS].hash_key, source, true);
}

static inline uint16_t member_of(const struct snapshot_pool *pool, uint16_t backend)
{
	return backend == SNAPSHOT_NO_BACKEND ? MEMBER_NONE : pool->backends[backend].uid;
}

static uint32_t slot(const struct table *table, uint64_t hash)
{
	(void)table;
	return rendezvous_slot(hash);
}

static void fill(const struct table *table, uint16_t *owner, const struct member *members, size_t count)
{
	const struct cidlb *cidlb = table->own;
	const struct snapshot_pool *pool = &cidlb->snapshot->pools[BY_ADDRESS];

	(void)members;
	(void)count;
	for (uint32_t i = 0; i < RENDEZVOUS_SLOTS; i++)
		owner[i] = member_of(pool, snapshot_backend_of_hash(pool, (uint64_t)i << (64 - RENDEZVOUS_SLOT_BITS)));
}

struct table cidlb_table(const struct cidlb *cidlb)
{
	return (struct table){ .slots = RENDEZVOUS_SLOTS, .slot = slot, .fill = fill, .own = cidlb };
}

/* As a worker does it with a batch. */
static void route_all(const struct snapshot_pool *pool, uint16_t *to, struct route_in *in, size_t count)
{
	struct route_out out[CIDLB_BATCH];

	for (size_t i = 0; i < count; i++) {
		in[i].hint = ROUTE_NO_HINT;
		dtls_walk(&in[i].view, in[i].data, in[i].len);
	}
	route_batch(out, pool, in, count);
	for (size_t i = 0; i < count; i++)
		to[i] = member_of(pool, out[i].backend);
}

void cidlb_route_cids(const struct cidlb *cidlb, uint16_t *to, const struct cidlb_records *records)
{
	uint8_t datagrams[CIDLB_BATCH][RECORD_OCTETS];
	struct route_in in[CIDLB_BATCH] = { 0 };

	for (size_t i = 0; i < records->count; i++) {
		const uint16_t id = (uint16_t)(records->homes[i] + 1);
		uint8_t *cid = datagrams[i] + DTLS_CID_AT;
		memcpy(datagrams[i], record, sizeof record);
		cid[0] = (uint8_t)(id >> 8);
		cid[1] = (uint8_t)id;
		/* Servers give out random octets behind the id. Here it is enough that they differ by session. */
		memcpy(cid + ID_OCTETS, &records->sessions[i], sizeof records->sessions[i]);
		in[i].data = datagrams[i];
		in[i].len = RECORD_OCTETS;
		in[i].source = records->sources[i];
	}
	route_all(&cidlb->snapshot->pools[BY_CID], to, in, records->count);
}

/* The same octets from each source. `datagram`: its data and length. */
static void route_alike(const struct snapshot_pool *pool, uint16_t *to, const struct route_in *datagram,
			const struct addr *sources, size_t count)
{
	struct route_in in[CIDLB_BATCH] = { 0 };

	for (size_t i = 0; i < count; i++) {
		in[i] = *datagram;
		in[i].source = sources[i];
	}
	route_all(pool, to, in, count);
}

void cidlb_route_hellos(const struct cidlb *cidlb, uint16_t *to, const struct addr *sources, size_t count)
{
	const struct route_in datagram = { .data = hello, .len = sizeof hello };

	route_alike(&cidlb->snapshot->pools[BY_CID], to, &datagram, sources, count);
}

void cidlb_route_plain(const struct cidlb *cidlb, uint16_t *to, const struct addr *sources, size_t count)
{
	const struct route_in datagram = { .data = data_without_cid, .len = sizeof data_without_cid };

	route_alike(&cidlb->snapshot->pools[BY_ADDRESS], to, &datagram, sources, count);
}
