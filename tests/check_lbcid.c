#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lbcid.h"
#include "octets.h"

/* A random source of the tests: counts, so that each octet's place is seen. */
struct source {
	size_t asked; /* octets of the last call */
	int fails;
};

static int count_up(void *ctx, uint8_t *out, size_t len)
{
	struct source *source = ctx;

	source->asked = len;
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(0x80 + i);
	return source->fails;
}

static const uint8_t server_id[LBCID_MAX_ID_OCTETS] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

static struct lbcid_config node_id(uint8_t length, uint8_t offset, uint8_t size)
{
	return (struct lbcid_config){ LBCID_NODE_ID, length, offset, size };
}

/* One length, every offset and size: the id at its place, random octets everywhere else, nothing behind the CID. */
START_TEST(round_trip)
{
	const uint8_t length = (uint8_t)_i;

	for (uint8_t offset = 0; offset < length; offset++) {
		for (uint8_t size = 1; size <= LBCID_MAX_ID_OCTETS && offset + size <= length; size++) {
			const struct lbcid_config config = node_id(length, offset, size);
			struct source source = { 0 };
			uint8_t expected[LBCID_MAX_OCTETS] = { 0 };
			uint8_t *cid = malloc(LBCID_MAX_OCTETS), *whole = malloc(length), *opened = malloc(LBCID_MAX_ID_OCTETS);

			for (uint8_t i = 0; i < length; i++)
				expected[i] = (uint8_t)(0x80 + i);
			memcpy(expected + offset, server_id, size);
			memset(cid, 0xee, LBCID_MAX_OCTETS);
			ck_assert_int_eq(lbcid_check(&config), 0);
			ck_assert_int_eq(lbcid_mint(&config, server_id, count_up, &source, cid), 0);
			ck_assert_mem_eq(cid, expected, sizeof expected);
			ck_assert_uint_le(source.asked, length);

			memcpy(whole, cid, length);
			memset(opened, 0xee, LBCID_MAX_ID_OCTETS);
			ck_assert_int_eq(lbcid_open(&config, whole, length, opened), 0);
			ck_assert_mem_eq(opened, server_id, size);
			if (size < LBCID_MAX_ID_OCTETS)
				ck_assert_uint_eq(opened[size], 0xee);
			free(cid);
			free(whole);
			free(opened);
		}
	}
}
END_TEST

/* Californium with node id 9 and six octets: cid[0] is the node id. */
START_TEST(californium_place)
{
	const struct lbcid_config config = node_id(6, 0, 1);
	static const uint8_t cid[6] = { 9, 0xa1, 0xb2, 0xc3, 0xd4, 0xe5 };
	uint8_t opened[LBCID_MAX_ID_OCTETS];

	ck_assert_int_eq(lbcid_open(&config, cid, sizeof cid, opened), 0);
	ck_assert_uint_eq(opened[0], 9);
}
END_TEST

START_TEST(open_refuses_another_length)
{
	const struct lbcid_config config = node_id(8, 0, 1);
	static const uint8_t cid[LBCID_MAX_OCTETS];
	uint8_t opened[LBCID_MAX_ID_OCTETS];

	for (size_t len = 0; len <= sizeof cid; len++)
		ck_assert_int_eq(lbcid_open(&config, cid, len, opened), len == 8 ? 0 : -EINVAL);
}
END_TEST

static const struct {
	struct lbcid_config config;
	int expected;
} bounds[] = {
	{ { LBCID_NODE_ID, 1, 0, 1 }, 0 },         { { LBCID_NODE_ID, 0, 0, 0 }, -EINVAL },
	{ { LBCID_NODE_ID, 0, 0, 1 }, -EINVAL },   { { LBCID_NODE_ID, 8, 0, 0 }, -EINVAL },
	{ { LBCID_NODE_ID, 20, 19, 1 }, 0 },       { { LBCID_NODE_ID, 20, 20, 1 }, -EINVAL },
	{ { LBCID_NODE_ID, 21, 0, 1 }, -EINVAL },  { { LBCID_NODE_ID, 20, 5, 15 }, 0 },
	{ { LBCID_NODE_ID, 20, 6, 15 }, -EINVAL }, { { LBCID_NODE_ID, 20, 0, 16 }, -EINVAL },
	{ { LBCID_NODE_ID, 8, 255, 1 }, -EINVAL }, { { LBCID_NODE_ID, 255, 0, 1 }, -EINVAL },
	{ { LBCID_NODE_ID, 8, 0, 9 }, -EINVAL },   { { (enum lbcid_scheme)1, 8, 0, 1 }, -EINVAL },
};

START_TEST(boundaries)
{
	static const uint8_t zero[LBCID_MAX_OCTETS];
	uint8_t cid[LBCID_MAX_OCTETS];
	struct source source = { 0 };

	memset(cid, 0xee, sizeof cid);
	ck_assert_int_eq(lbcid_check(&bounds[_i].config), bounds[_i].expected);
	ck_assert_int_eq(lbcid_mint(&bounds[_i].config, server_id, count_up, &source, cid), bounds[_i].expected);
	if (bounds[_i].expected != 0) {
		ck_assert_uint_eq(source.asked, 0);
		ck_assert_mem_eq(cid, zero, sizeof cid);
	}
}
END_TEST

static const int failures[] = { -1, 1, -5 };

/* A source that fails, having written, leaves neither octets to use nor the id. */
START_TEST(failing_random)
{
	static const uint8_t zero[LBCID_MAX_OCTETS];
	const struct lbcid_config config = node_id(8, 0, 2);
	struct source source = { .fails = failures[_i] };
	uint8_t cid[LBCID_MAX_OCTETS];

	memset(cid, 0xee, sizeof cid);
	ck_assert_int_eq(lbcid_mint(&config, server_id, count_up, &source, cid), -EIO);
	ck_assert_mem_eq(cid, zero, sizeof cid);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lbcid");
	TCase *tc = tcase_create("lbcid");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tc, round_trip, 1, LBCID_MAX_OCTETS + 1);
	tcase_add_test(tc, californium_place);
	tcase_add_test(tc, open_refuses_another_length);
	tcase_add_loop_test(tc, boundaries, 0, COUNT_OF(bounds));
	tcase_add_loop_test(tc, failing_random, 0, COUNT_OF(failures));
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
