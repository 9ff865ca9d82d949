/* When datagrams without a CID may go by the slots alone. That the program goes where the C core goes is in
 * oracle/fast. */
#include <stdlib.h>
#include <string.h>

#include "path/forward.h"
#include "path/handshakes.h"
#include "tests/unit/suite.h"
#include "xdp/slots.h"

enum { BACKENDS = 3, SLOTS = 1 << FAST_SLOT_BITS, SETTLED_MS = (HANDSHAKES_HINT_S + HELLO_LIFE_S) * 1000 };

static const struct siphash_key key = { 1, 2 };
static struct snapshot_backend backends[BACKENDS];
static struct fast_hashing hashing;
static struct fast_slots *slots;
static struct table *table;
static bool hashed[STATS_POOLS];

static void publish(uint16_t uid)
{
	const struct snapshot_pool_spec spec = {
		.name = "p",
		.uid = uid,
		.layout = { .scheme = CID_LAYOUT_NONE },
		.backends = backends,
		.backend_count = BACKENDS,
	};

	snapshot_free(table->snapshot);
	table->snapshot = snapshot_build(&key, &spec, 1, NULL);
	ck_assert_ptr_nonnull(table->snapshot);
}

static bool looks(uint64_t now_ms)
{
	fast_hashing_look(&hashing, slots, table, now_ms, hashed);
	return hashed[0];
}

static void setup(void)
{
	static const char *const names[BACKENDS] = { "a", "b", "c" };

	for (uint16_t i = 0; i < BACKENDS; i++)
		backends[i] = (struct snapshot_backend){ .name = names[i], .uid = (uint16_t)(10 + i), .weight = 100 };
	memset(&hashing, 0, sizeof hashing);
	slots = calloc(FAST_HASH_POOLS, sizeof *slots);
	table = calloc(1, sizeof *table);
	ck_assert(slots && table);
	table->pools[0].forwarder = &forward_tunnel;
	publish(2);
}

static void teardown(void)
{
	snapshot_free(table->snapshot);
	free(table);
	free(slots);
}

START_TEST(the_slots_are_those_of_the_pool)
{
	const struct snapshot_pool *pool = &table->snapshot->pools[0];

	ck_assert(looks(7));
	for (uint64_t slot = 0; slot < SLOTS; slot++)
		ck_assert_uint_eq(
			slots[2].backend[slot],
			pool->backends[snapshot_backend_of_hash(pool, slot << (64 - FAST_SLOT_BITS) | slot)].uid);
	ck_assert_uint_eq(slots[1].backend[0], 0);
}
END_TEST

START_TEST(nobody_accepts)
{
	for (size_t i = 0; i < BACKENDS; i++)
		backends[i].admin = BACKEND_MAINT;
	publish(2);
	ck_assert(looks(7));
	ck_assert_uint_eq(slots[2].backend[5], UINT16_MAX);
}
END_TEST

/* What changes where the hash leads, and what does not. */
START_TEST(a_change_has_to_settle)
{
	ck_assert(looks(1000));
	backends[1].addr.port = 7;
	publish(2);
	ck_assert(looks(2000));
	backends[1].admin = BACKEND_DRAIN;
	publish(2);
	slots[2].backend[0] = 99;
	ck_assert(!looks(3000));
	ck_assert(!fast_hashing_is_due(&hashing, 3000 + SETTLED_MS - 1));
	ck_assert(!looks(3000 + SETTLED_MS - 1));
	ck_assert_uint_eq(slots[2].backend[0], 99);
	ck_assert(fast_hashing_is_due(&hashing, 3000 + SETTLED_MS));
	ck_assert(looks(3000 + SETTLED_MS));
	ck_assert(!fast_hashing_is_due(&hashing, 3000 + SETTLED_MS));
	for (size_t slot = 0; slot < SLOTS; slot++)
		ck_assert(slots[2].backend[slot] == 10 || slots[2].backend[slot] == 12);
}
END_TEST

START_TEST(there_and_back_is_two_changes)
{
	ck_assert(looks(1000));
	backends[1].health = BACKEND_DOWN;
	publish(2);
	ck_assert(!looks(2000));
	backends[1].health = BACKEND_UP;
	publish(2);
	ck_assert(!looks(9000));
	ck_assert(!looks(2000 + SETTLED_MS));
	ck_assert(looks(9000 + SETTLED_MS));
}
END_TEST

START_TEST(weight_name_and_uid_lead_elsewhere)
{
	ck_assert(looks(1000));
	backends[0].weight = 50;
	publish(2);
	ck_assert(!looks(1000));
	ck_assert(looks(1000 + SETTLED_MS));
	backends[0].name = "d";
	publish(2);
	ck_assert(!looks(1000 + SETTLED_MS));
	ck_assert(looks(1000 + 2 * SETTLED_MS));
	backends[0].uid = 20;
	publish(2);
	ck_assert(!looks(1000 + 2 * SETTLED_MS));
}
END_TEST

/* A pool that goes by sessions, is with the sockets, has flows, or has no room for its slots. */
START_TEST(others_never_are)
{
	struct learned_servers *sessions = (struct learned_servers *)table;

	table->pools[0].sessions = sessions;
	ck_assert(!looks(1000));
	ck_assert(!fast_hashing_is_due(&hashing, UINT64_MAX));
	table->pools[0].sessions = NULL;
	ck_assert(!looks(2000));
	ck_assert(looks(2000 + SETTLED_MS));
	table->pools[0].only_sockets = true;
	ck_assert(!looks(UINT32_MAX));
	table->pools[0].only_sockets = false;
	table->pools[0].forwarder = &forward_nat_follow;
	ck_assert(!looks(UINT32_MAX));
	table->pools[0].forwarder = &forward_nat_stateless;
	ck_assert(!looks(UINT32_MAX));
	ck_assert(looks(UINT64_MAX));
	publish(FAST_HASH_POOLS);
	ck_assert(!looks(UINT64_MAX));
}
END_TEST

/* They are ranked as they come. As soon as the slots are there, those may be written. */
START_TEST(without_slots_they_never_are)
{
	struct snapshot_pool *pool = &table->snapshot->pools[0];
	const struct rendezvous *later = pool->slots;

	pool->slots = NULL;
	ck_assert(!looks(7));
	ck_assert(!looks(UINT64_MAX));
	ck_assert_uint_eq(slots[2].backend[0], 0);
	pool->slots = later;
	ck_assert(looks(7));
	ck_assert_uint_ge(slots[2].backend[0], 10);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, the_slots_are_those_of_the_pool);
	tcase_add_test(tests, nobody_accepts);
	tcase_add_test(tests, a_change_has_to_settle);
	tcase_add_test(tests, there_and_back_is_two_changes);
	tcase_add_test(tests, weight_name_and_uid_lead_elsewhere);
	tcase_add_test(tests, others_never_are);
	tcase_add_test(tests, without_slots_they_never_are);
}
