/* The cache of CIDs: what is written is found, and nothing else is. The program's own reading of it is in oracle/fast.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/suite.h"
#include "xdp/cids.h"

enum { POOL = 3, NOBODY = 0xffff };

static struct fast_cids cids;

static void setup(void)
{
	cids = (struct fast_cids){ calloc(FAST_CID_SETS, sizeof(struct fast_cid_set)), 0x123456789abcdef, 5 };
	ck_assert_ptr_nonnull(cids.sets);
}

static void teardown(void)
{
	free(cids.sets);
}

/* As the program looks it up. */
static unsigned find(uint16_t pool, const char *cid)
{
	const size_t len = strlen(cid);
	uint8_t octets[24] = { 0 };
	__u64 words[3];

	memcpy(octets, cid, len);
	octets[20] = (uint8_t)len;
	octets[21] = (uint8_t)pool;
	memcpy(words, octets, sizeof words);
	const uint64_t hash = fast_hash_cid(cids.key, words);
	const struct fast_cid_set *set = &cids.sets[hash & (FAST_CID_SETS - 1)];

	for (size_t i = 0; i < FAST_CID_WAYS; i++)
		if (memcmp(set->at[i].cid, words, sizeof words) == 0 &&
		    set->at[i].meta >> 16 == fast_cid_meta(hash, cids.generation, 0) >> 16)
			return set->at[i].meta & 0xffff;
	return NOBODY;
}

static void put(uint16_t pool, const char *cid, uint16_t backend)
{
	fast_cids_put(&cids, pool, (const uint8_t *)cid, strlen(cid), backend);
}

START_TEST(is_found)
{
	put(POOL, "12345678", 7);
	put(POOL, "1", 0);
	put(POOL, "12345678901234567890", 4095);
	ck_assert_uint_eq(find(POOL, "12345678"), 7);
	ck_assert_uint_eq(find(POOL, "1"), 0);
	ck_assert_uint_eq(find(POOL, "12345678901234567890"), 4095);
	ck_assert_uint_eq(find(POOL + 1, "12345678"), NOBODY);
	ck_assert_uint_eq(find(POOL, "1234567"), NOBODY);
	ck_assert_uint_eq(find(POOL, "123456789"), NOBODY);
	ck_assert_uint_eq(find(POOL, "1234567890123456789"), NOBODY);
}
END_TEST

START_TEST(moves_and_is_forgotten)
{
	put(POOL, "12345678", 7);
	put(POOL, "12345678", 8);
	ck_assert_uint_eq(find(POOL, "12345678"), 8);
	fast_cids_forget(&cids, POOL, (const uint8_t *)"1234567", 7);
	ck_assert_uint_eq(find(POOL, "12345678"), 8);
	fast_cids_forget(&cids, POOL, (const uint8_t *)"12345678", 8);
	ck_assert_uint_eq(find(POOL, "12345678"), NOBODY);
}
END_TEST

START_TEST(another_generation_is_nobody)
{
	put(POOL, "12345678", 7);
	cids.generation++;
	ck_assert_uint_eq(find(POOL, "12345678"), NOBODY);
	put(POOL, "12345678", 9);
	ck_assert_uint_eq(find(POOL, "12345678"), 9);
}
END_TEST

/* Twice as many as there is room for: the last one that was written is always there, and half of them are. */
START_TEST(full)
{
	const unsigned count = 2 * FAST_CID_SETS * FAST_CID_WAYS;
	unsigned found = 0;
	char cid[16];

	for (unsigned i = 0; i < count; i++) {
		snprintf(cid, sizeof cid, "%u", i);
		put(POOL, cid, (uint16_t)(i % 4000));
		if (find(POOL, cid) != i % 4000)
			ck_abort_msg("%u", i);
	}
	for (unsigned i = 0; i < count; i++) {
		snprintf(cid, sizeof cid, "%u", i);
		const unsigned backend = find(POOL, cid);

		if (backend != NOBODY && backend != i % 4000)
			ck_abort_msg("%u leads to %u", i, backend);
		found += backend != NOBODY;
	}
	ck_assert_uint_gt(found, count / 2 * 9 / 10);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, is_found);
	tcase_add_test(tests, moves_and_is_forgotten);
	tcase_add_test(tests, another_generation_is_nobody);
	tcase_add_test(tests, full);
}
