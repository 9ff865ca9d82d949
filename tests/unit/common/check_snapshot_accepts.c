/* Which backends take sessions: those that are known by a CID, and new ones, by hash. */
#include <string.h>

#include "tests/fixtures/snapshot_spec.h"
#include "tests/unit/suite.h"

static uint64_t hash_of_slot(uint32_t slot)
{
	return (uint64_t)slot << (64 - RENDEZVOUS_SLOT_BITS);
}

static const struct {
	enum backend_health health;
	enum backend_admin admin;
	enum verdict verdict;
} cid_verdicts[] = {
	{ BACKEND_UP, BACKEND_READY, VERDICT_CID },          { BACKEND_DOWN, BACKEND_READY, VERDICT_CID_DOWN },
	{ BACKEND_UP, BACKEND_DRAIN, VERDICT_CID_DRAINING }, { BACKEND_DOWN, BACKEND_DRAIN, VERDICT_CID_DOWN },
	{ BACKEND_UP, BACKEND_MAINT, VERDICT_MAINT },        { BACKEND_DOWN, BACKEND_MAINT, VERDICT_MAINT },
};

START_TEST(verdicts_of_cids)
{
	struct snapshot_pool_spec spec = spec_of(sizeof cid_verdicts / sizeof *cid_verdicts, 1);
	struct snapshot *snapshot;

	for (size_t i = 0; i < spec.backend_count; i++) {
		backends[i].health = cid_verdicts[i].health;
		backends[i].admin = cid_verdicts[i].admin;
	}
	snapshot = build(&spec, NULL);
	for (size_t i = 0; i < spec.backend_count; i++)
		ck_assert_int_eq(snapshot->pools[0].cid_verdict[i], (int)cid_verdicts[i].verdict);
	snapshot_free(snapshot);
}
END_TEST

/* Four backends, a letter each: u up, d down, r up but draining, R down and draining, m in maint, 0 up with weight 0, o
 * down with weight 0. Expected: who gets new sessions. */
static const struct {
	const char *states;
	enum all_down all_down;
	const char *accept;
} accepts[] = {
	{ "uuuu", ALL_DOWN_HASH, "yyyy" }, { "udrm", ALL_DOWN_HASH, "y---" }, { "0ddu", ALL_DOWN_HASH, "---y" },
	{ "dddd", ALL_DOWN_HASH, "yyyy" }, { "dddd", ALL_DOWN_DROP, "----" }, { "drR0", ALL_DOWN_HASH, "y---" },
	{ "drmo", ALL_DOWN_HASH, "y---" }, { "drmo", ALL_DOWN_DROP, "----" }, { "rRm0", ALL_DOWN_HASH, "----" },
	{ "mmmm", ALL_DOWN_HASH, "----" }, { "uddd", ALL_DOWN_DROP, "y---" }, { "0000", ALL_DOWN_HASH, "----" },
};

START_TEST(who_accepts_new_sessions)
{
	struct snapshot_pool_spec spec = spec_of(4, 1);
	const char *accept = accepts[_i].accept;
	struct snapshot *snapshot;
	size_t held[4] = { 0 };

	spec.all_down = accepts[_i].all_down;
	for (size_t i = 0; i < 4; i++) {
		char state = accepts[_i].states[i];
		backends[i].health = strchr("dRo", state) ? BACKEND_DOWN : BACKEND_UP;
		backends[i].admin = strchr("rR", state) ? BACKEND_DRAIN : state == 'm' ? BACKEND_MAINT : BACKEND_READY;
		backends[i].weight = strchr("0o", state) ? 0 : 100;
	}
	snapshot = build(&spec, NULL);
	ck_assert_int_eq(snapshot->pools[0].any_accepts, strchr(accept, 'y') != NULL);
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(snapshot->pools[0].accepts[i], accept[i] == 'y');
	for (uint32_t slot = 0; slot < RENDEZVOUS_SLOTS; slot++) {
		uint16_t backend = snapshot_backend_of_hash(&snapshot->pools[0], hash_of_slot(slot));
		if (backend == SNAPSHOT_NO_BACKEND ? strchr(accept, 'y') != NULL : accept[backend] != 'y')
			ck_abort_msg("slot %u: backend %u", slot, backend);
		if (backend != SNAPSHOT_NO_BACKEND)
			held[backend]++;
	}
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(held[i] > 0, accept[i] == 'y');
	snapshot_free(snapshot);
}
END_TEST

/* Whose id another has would give out CIDs that lead there. */
START_TEST(who_is_led_to_by_no_id_accepts_nothing)
{
	struct snapshot_pool_spec spec = spec_of(3, _i ? 1 : 0);
	struct snapshot *snapshot;

	ids[0].backend = 1;
	backends[2].health = _i == 2 ? BACKEND_DOWN : BACKEND_UP;
	backends[1].admin = _i == 2 ? BACKEND_DRAIN : BACKEND_READY;
	snapshot = build(&spec, NULL);
	ck_assert_int_eq(snapshot->pools[0].accepts[0], _i == 0);
	ck_assert_int_eq(snapshot->pools[0].accepts[1], _i < 2);
	ck_assert(snapshot->pools[0].accepts[2]);
	snapshot_free(snapshot);
}
END_TEST

/* The best accepting backend by a plain search, with the key that snapshot.h names. */
static uint16_t search_best(const struct snapshot_pool *pool, uint32_t slot)
{
	const struct siphash_key slots_key = siphash_key_derive(&pool->hash_key, "slots");
	uint16_t best = SNAPSHOT_NO_BACKEND;
	uint64_t best_score = 0;

	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct rendezvous_member member = { pool->backends[i].name, pool->backends[i].weight };
		uint64_t score = pool->accepts[i] ? rendezvous_score(&slots_key, slot, &member) : 0;
		if (score > best_score) {
			best_score = score;
			best = (uint16_t)i;
		}
	}
	return best;
}

/* Of 40 backends: found within the ranks, and beyond them. */
static const size_t up_counts[] = { 1, 2, 5, 20, 39, 40 };

START_TEST(hash_finds_the_best_that_accepts)
{
	struct snapshot_pool_spec spec = spec_of(40, 1);
	struct snapshot *snapshot;

	for (size_t i = 0; i < spec.backend_count; i++) {
		backends[i].weight = (uint16_t)(1 + i * 6);
		backends[i].health = (i * 7) % 40 < up_counts[_i] ? BACKEND_UP : BACKEND_DOWN;
	}
	snapshot = build(&spec, NULL);
	for (uint32_t slot = 0; slot < RENDEZVOUS_SLOTS; slot += 101) {
		if (snapshot_backend_of_hash(&snapshot->pools[0], hash_of_slot(slot)) !=
		    search_best(&snapshot->pools[0], slot))
			ck_abort_msg("slot %u", slot);
	}
	snapshot_free(snapshot);
}
END_TEST

START_TEST(a_backend_that_goes_down_moves_only_its_own_keys)
{
	struct snapshot_pool_spec spec = spec_of(10, 1);
	struct snapshot *before = build(&spec, NULL), *after;
	uint32_t moved = 0;

	backends[4].health = BACKEND_DOWN;
	after = build(&spec, before);
	for (uint32_t slot = 0; slot < RENDEZVOUS_SLOTS; slot++) {
		uint16_t was = snapshot_backend_of_hash(&before->pools[0], hash_of_slot(slot));
		uint16_t is = snapshot_backend_of_hash(&after->pools[0], hash_of_slot(slot));
		if (is == 4 || (was != 4 && was != is))
			ck_abort_msg("slot %u: from %u to %u", slot, was, is);
		moved += was != is;
	}
	ck_assert_uint_gt(moved, RENDEZVOUS_SLOTS / 10 - 2000);
	ck_assert_uint_lt(moved, RENDEZVOUS_SLOTS / 10 + 2000);
	snapshot_free(before);
	snapshot_free(after);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, verdicts_of_cids);
	tcase_add_loop_test(tests, who_accepts_new_sessions, 0, sizeof accepts / sizeof *accepts);
	tcase_add_loop_test(tests, who_is_led_to_by_no_id_accepts_nothing, 0, 3);
	tcase_add_loop_test(tests, hash_finds_the_best_that_accepts, 0, sizeof up_counts / sizeof *up_counts);
	tcase_add_test(tests, a_backend_that_goes_down_moves_only_its_own_keys);
}
