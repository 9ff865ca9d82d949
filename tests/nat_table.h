/* A table of one pool of DTLS servers behind one listener, as the control thread makes it, for the suites of mode
 * nat. */
#ifndef CIDLB_TESTS_NAT_TABLE_H
#define CIDLB_TESTS_NAT_TABLE_H

#include <check.h>
#include <stdlib.h>

#include "plan.h"
#include "publish.h"

enum { NAT_BACKENDS = 3, NAT_CID_OCTETS = 8 };

struct nat_table {
	struct registry *pools, *backends;
	struct conf conf;
	struct conf_pool pool;
	struct conf_backend backend[NAT_BACKENDS]; /* "a", "b", "c" with ids 1, 2, 3 at 127.0.0.1:6001-6003 */
	struct conf_listener listener;
	uint16_t owner[NAT_BACKENDS]; /* of each id: index; SNAPSHOT_NO_BACKEND: nobody */
	uint16_t pool_uid, uid[NAT_BACKENDS], listener_uid;
};

static inline void nat_table_init(struct nat_table *of)
{
	static char *const names[NAT_BACKENDS] = { "a", "b", "c" };

	*of = (struct nat_table){ .pools = registry_new(4), .backends = registry_new(8) };
	ck_assert(of->pools && of->backends);
	of->pool = (struct conf_pool){
		.name = "p",
		.protocol = POOL_DTLS,
		.layout = { .scheme = CID_LAYOUT_ID,
			    .lbcid = { .length = NAT_CID_OCTETS, .size = 1 },
			    .length = NAT_CID_OCTETS },
		.nat = { .source_count = 1,
			 .port_first = 40684,
			 .port_last = 40691,
			 .settle_ms = 5000,
			 .contest_s = 60 },
		.backends = of->backend,
		.backend_count = NAT_BACKENDS,
	};
	ck_assert_int_eq(addr_parse_ip(&of->pool.nat.sources[0].addr, "127.64.0.0"), 0);
	of->pool.nat.sources[0].bits = 10;
	of->pool_uid = registry_uid(of->pools, 0, of->pool.name);
	for (int i = 0; i < NAT_BACKENDS; i++) {
		of->backend[i] = (struct conf_backend){ .name = names[i], .has_id = true, .weight = 100 };
		of->backend[i].id = (struct server_id){ 1, { (uint8_t)(i + 1) } };
		ck_assert_int_eq(addr_parse(&of->backend[i].addr, "127.0.0.1:6001"), 0);
		of->backend[i].addr.port = (uint16_t)(6001 + i);
		of->owner[i] = (uint16_t)i;
		of->uid[i] = registry_uid(of->backends, of->pool_uid, names[i]);
	}
	of->listener = (struct conf_listener){ .name = "l" };
	ck_assert_int_eq(addr_parse(&of->listener.addr, "127.0.0.1:5684"), 0);
	of->conf =
		(struct conf){ .pools = &of->pool, .pool_count = 1, .listeners = &of->listener, .listener_count = 1 };
}

/* What the configuration and `owner` say now. `previous` (may be NULL) is what is published. */
static inline struct table *nat_table_build(struct nat_table *of, const struct table *previous)
{
	struct snapshot_id ids[NAT_BACKENDS];
	struct table *table;
	struct plan plan;

	ck_assert_int_eq(plan_make(&plan, &of->conf, of->pools, of->backends), 0);
	plan.pools[0].ids = ids;
	plan.pools[0].id_count = 0;
	for (int i = 0; i < NAT_BACKENDS; i++)
		if (of->owner[i] != SNAPSHOT_NO_BACKEND)
			ids[plan.pools[0].id_count++] = (struct snapshot_id){ of->backend[i].id, of->owner[i] };
	table = table_build(&of->conf, &plan, &of->listener_uid, previous);
	ck_assert_ptr_nonnull(table);
	plan_free(&plan);
	return table;
}

static inline void nat_table_end(struct nat_table *of)
{
	registry_free(of->pools);
	registry_free(of->backends);
}

#endif
