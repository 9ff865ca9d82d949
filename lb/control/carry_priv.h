/* The flow table in a file: what carry*.c share. All numbers are this host's. Behind the head there are
 *
 *   struct carry_pool      head.pools of them
 *   struct carry_backend   head.backends
 *   struct carry_service   head.services
 *   struct flow            head.flows, as they were in memory
 *   struct ownership_place OWNERSHIP_PLACES_HOME of them for each flow that has many, in the order of the flows
 */
#ifndef CIDLB_CONTROL_CARRY_PRIV_H
#define CIDLB_CONTROL_CARRY_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/addr.h"
#include "common/siphash.h"
#include "flows/flows.h"

/* The version changes with what values mean. flows_layout() tells where they are. */
enum { CARRY_VERSION = 1, CARRY_SERVICES = 1 << 9 /* numbers of service_addrs.h are below */ };

#define CARRY_MAGIC UINT64_C(0x776f6c66626c6469) /* "idlbflow" */

struct carry_head {
	uint64_t magic;
	uint64_t octets; /* of the file */
	uint64_t sum;    /* carry_sum() of all behind the head */
	uint64_t layout; /* flows_layout() */
	uint64_t flows, many;
	uint32_t version, pools, backends, services;
};

/* Names are hashed: the file is for configurations of the same operator. */
struct carry_pool {
	uint64_t name;
	uint64_t uid;
};

struct carry_backend {
	uint64_t name; /* of the pool and the backend */
	struct addr addr;
	uint16_t uid;
	uint8_t unused[4];
};

struct carry_service {
	struct addr listener;
	uint8_t local[16];
	uint16_t number;
	bool has_local;
	uint8_t unused[3];
};

_Static_assert(sizeof(struct carry_head) % 8 == 0 && sizeof(struct carry_pool) % 8 == 0 &&
		       sizeof(struct carry_backend) % 8 == 0 && sizeof(struct carry_service) % 8 == 0,
	       "flows are aligned");

/* Octets of what stands between the head and the flows, and of the whole file. The counts are below 2^32. */
static inline uint64_t carry_names_octets(const struct carry_head *head)
{
	return head->pools * sizeof(struct carry_pool) + head->backends * sizeof(struct carry_backend) +
	       head->services * sizeof(struct carry_service);
}

static inline uint64_t carry_octets(const struct carry_head *head)
{
	return sizeof *head + carry_names_octets(head) + head->flows * sizeof(struct flow) +
	       head->many * OWNERSHIP_PLACES_HOME * sizeof(struct ownership_place);
}

static inline uint64_t carry_name(const char *pool, const char *backend)
{
	static const uint8_t any[16];
	const struct siphash_key key = siphash_key_load(any);
	const uint64_t of_pool = siphash24(&key, pool, strlen(pool));

	return backend ? siphash24(&key, backend, strlen(backend)) * 31 + of_pool : of_pool;
}

/* Finds damage, not malice: whoever can write there can do anything else. `octets` is a multiple of 8. */
static inline uint64_t carry_sum(const void *data, size_t octets)
{
	uint64_t sum = octets;

	for (size_t at = 0; at + 8 <= octets; at += 8) {
		uint64_t word;

		memcpy(&word, (const uint8_t *)data + at, sizeof word);
		sum = (sum ^ word) * UINT64_C(0x9fb21c651e98df25);
		sum ^= sum >> 29;
	}
	return sum;
}

#endif
