#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/lbcid.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

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
	return (struct lbcid_config){ .scheme = LBCID_NODE_ID, .length = length, .offset = offset, .size = size };
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
			uint8_t *cid = malloc(LBCID_MAX_OCTETS), *whole = malloc(length),
				*opened = malloc(LBCID_MAX_ID_OCTETS);

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

static struct lbcid_config quic_lb(uint8_t rotation, uint8_t id_octets, uint8_t nonce_octets,
				   const struct lbcid_key *key)
{
	return (struct lbcid_config){ .scheme = LBCID_QUIC_LB,
				      .length = (uint8_t)(1 + id_octets + nonce_octets),
				      .size = id_octets,
				      .rotation = rotation,
				      .key = key };
}

static int copy_nonce(void *ctx, uint8_t *out, size_t len)
{
	const struct octets *nonce = ctx;

	ck_assert_uint_eq(len, nonce->len);
	memcpy(out, nonce->at, len);
	return 0;
}

#define DRAFT_KEY "8f95f09245765f80256934e50c66207f"

/* Appendix B of the draft. The fourth is of config 3 by its heading there, of config 0 by its CID. */
static const struct {
	const char *key; /* "": plain */
	uint8_t rotation;
	const char *id, *nonce, *cid;
} vectors[] = {
	/* clang-format off */
	{ DRAFT_KEY, 0, "ed793a", "ee080dbf", "0720b1d07b359d3c" },
	{ DRAFT_KEY, 1, "ed793a51d49b8f5fab65", "ee080dbf48", "2fcc381bc74cb4fbad2823a3d1f8fed2" },
	{ DRAFT_KEY, 2, "ed793a51d49b8f5f", "ee080dbf48c0d1e5", "504dd2d05a7b0de9b2b9907afb5ecf8cc3" },
	{ DRAFT_KEY, 0, "ed793a51d49b8f5fab", "ee080dbf48c0d1e55d", "125779c9cc86beb3a3a4a3ca96fce4bfe0cdbc" },
	{ "fdf726a9893ec05c0632d3956680baf0", 0, "31441a", "9c69c275", "0767947d29be054a" },
	{ "", 0, "c4605e", "4504cc4f", "07c4605e4504cc4f" },
	/* clang-format on */
};

START_TEST(draft_vectors)
{
	struct octets key = octets_of(vectors[_i].key), id = octets_of(vectors[_i].id),
		      nonce = octets_of(vectors[_i].nonce);
	struct octets cid = octets_of(vectors[_i].cid);
	struct lbcid_key *expanded = key.len ? lbcid_key_new(key.at) : NULL;
	const struct lbcid_config config = quic_lb(vectors[_i].rotation, (uint8_t)id.len, (uint8_t)nonce.len, expanded);
	uint8_t minted[LBCID_MAX_OCTETS], opened[LBCID_MAX_ID_OCTETS];

	ck_assert_int_eq(lbcid_check(&config), 0);
	ck_assert_uint_eq(config.length, cid.len);
	ck_assert_int_eq(lbcid_mint(&config, id.at, copy_nonce, &nonce, minted), 0);
	ck_assert_mem_eq(minted, cid.at, cid.len);
	ck_assert_int_eq(lbcid_open(&config, cid.at, cid.len, opened), 0);
	ck_assert_mem_eq(opened, id.at, id.len);
	lbcid_key_free(expanded);
	free(key.at);
	free(id.at);
	free(nonce.at);
	free(cid.at);
}
END_TEST

/* One length of the id, every length of the nonce, plain and encrypted: what was minted opens again, each octet of id
 * and nonce matters, nothing is written behind the CID or the id. Buffers of exact size, for the address sanitizer. */
START_TEST(quic_lb_round_trip)
{
	const uint8_t size = (uint8_t)_i;
	static const uint8_t octets[LBCID_KEY_OCTETS] = { 7, 7, 7 };
	struct lbcid_key *key = lbcid_key_new(octets);

	for (uint8_t nonce = LBCID_MIN_NONCE_OCTETS; size + nonce <= LBCID_MAX_TEXT_OCTETS; nonce++) {
		for (int encrypted = 0; encrypted < 2; encrypted++) {
			const struct lbcid_config config =
				quic_lb(nonce % LBCID_ROTATIONS, size, nonce, encrypted ? key : NULL);
			static const uint8_t zero[LBCID_MAX_OCTETS];
			struct source source = { 0 };
			uint8_t *cid = malloc(LBCID_MAX_OCTETS), *whole = malloc(config.length), *opened = malloc(size);

			memset(cid, 0xee, LBCID_MAX_OCTETS);
			ck_assert_int_eq(lbcid_check(&config), 0);
			ck_assert_int_eq(lbcid_mint(&config, server_id, count_up, &source, cid), 0);
			ck_assert_uint_eq(source.asked, nonce);
			ck_assert_uint_eq(cid[0], config.rotation << 5 | (config.length - 1));
			ck_assert_mem_eq(cid + config.length, zero, LBCID_MAX_OCTETS - config.length);
			ck_assert_int_eq(memcmp(cid + 1, server_id, size) == 0, !encrypted);
			memcpy(whole, cid, config.length);
			ck_assert_int_eq(lbcid_open(&config, whole, config.length, opened), 0);
			ck_assert_mem_eq(opened, server_id, size);
			for (uint8_t i = 1; encrypted && i < config.length; i++) {
				whole[i] ^= 1;
				ck_assert_int_eq(lbcid_open(&config, whole, config.length, opened), 0);
				if (size > 2) /* a shorter one is the same again now and then */
					ck_assert_mem_ne(opened, server_id, size);
				whole[i] ^= 1;
			}
			free(cid);
			free(whole);
			free(opened);
		}
	}
	lbcid_key_free(key);
}
END_TEST

START_TEST(quic_lb_refuses_another_shape)
{
	static const uint8_t octets[LBCID_KEY_OCTETS];
	struct lbcid_key *key = lbcid_key_new(octets);

	for (int encrypted = 0; encrypted < 2; encrypted++) {
		const struct lbcid_config config = quic_lb(5, 2, 6, encrypted ? key : NULL);
		uint8_t cid[LBCID_MAX_OCTETS] = { 5 << 5 | 8 }, opened[LBCID_MAX_ID_OCTETS];

		for (size_t len = 0; len <= sizeof cid; len++)
			ck_assert_int_eq(lbcid_open(&config, cid, len, opened), len == 9 ? 0 : -EINVAL);
		/* The length bits may be random. */
		for (unsigned first = 0; first < 256; first++) {
			cid[0] = (uint8_t)first;
			ck_assert_int_eq(lbcid_open(&config, cid, 9, opened), first >> 5 == 5 ? 0 : -EINVAL);
		}
	}
	lbcid_key_free(key);
}
END_TEST

START_TEST(no_key_is_freed)
{
	lbcid_key_free(NULL);
}
END_TEST

#define NODE_ID(length_, offset_, size_)                                                                               \
	{                                                                                                              \
		.scheme = LBCID_NODE_ID, .length = (length_), .offset = (offset_), .size = (size_)                     \
	}
#define QUIC_LB(rotation_, length_, offset_, size_)                                                                    \
	{                                                                                                              \
		.scheme = LBCID_QUIC_LB, .length = (length_), .offset = (offset_), .size = (size_),                    \
		.rotation = (rotation_)                                                                                \
	}

static const struct {
	struct lbcid_config config;
	int expected;
} bounds[] = {
	/* clang-format off */
	{ NODE_ID(1, 0, 1), 0 },
	{ NODE_ID(0, 0, 0), -EINVAL },
	{ NODE_ID(0, 0, 1), -EINVAL },
	{ NODE_ID(8, 0, 0), -EINVAL },
	{ NODE_ID(20, 19, 1), 0 },
	{ NODE_ID(20, 20, 1), -EINVAL },
	{ NODE_ID(21, 0, 1), -EINVAL },
	{ NODE_ID(20, 5, 15), 0 },
	{ NODE_ID(20, 6, 15), -EINVAL },
	{ NODE_ID(20, 0, 16), -EINVAL },
	{ NODE_ID(8, 255, 1), -EINVAL },
	{ NODE_ID(255, 0, 1), -EINVAL },
	{ NODE_ID(8, 0, 9), -EINVAL },
	{ { .scheme = LBCID_NODE_ID, .length = 8, .size = 1, .rotation = 1 }, -EINVAL },
	{ { .scheme = (enum lbcid_scheme)2, .length = 8, .size = 1 }, -EINVAL },
	{ QUIC_LB(0, 6, 0, 1), 0 },
	{ QUIC_LB(0, 5, 0, 1), -EINVAL },
	{ QUIC_LB(0, 7, 0, 2), 0 },
	{ QUIC_LB(0, 6, 0, 2), -EINVAL },
	{ QUIC_LB(0, 6, 0, 0), -EINVAL },
	{ QUIC_LB(6, 20, 0, 15), 0 },
	{ QUIC_LB(7, 20, 0, 15), -EINVAL },
	{ QUIC_LB(255, 20, 0, 15), -EINVAL },
	{ QUIC_LB(0, 21, 0, 15), -EINVAL },
	{ QUIC_LB(0, 20, 0, 16), -EINVAL },
	{ QUIC_LB(0, 20, 0, 255), -EINVAL },
	{ QUIC_LB(0, 8, 1, 2), -EINVAL },
	/* clang-format on */
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
	const struct lbcid_config configs[] = { node_id(8, 0, 2), quic_lb(0, 2, 6, NULL) };
	struct source source = { .fails = failures[_i] };
	uint8_t cid[LBCID_MAX_OCTETS];

	for (int i = 0; i < COUNT_OF(configs); i++) {
		memset(cid, 0xee, sizeof cid);
		ck_assert_int_eq(lbcid_mint(&configs[i], server_id, count_up, &source, cid), -EIO);
		ck_assert_mem_eq(cid, zero, sizeof cid);
	}
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, round_trip, 1, LBCID_MAX_OCTETS + 1);
	tcase_add_test(tests, californium_place);
	tcase_add_test(tests, open_refuses_another_length);
	tcase_add_loop_test(tests, draft_vectors, 0, COUNT_OF(vectors));
	tcase_add_loop_test(tests, quic_lb_round_trip, 1, LBCID_MAX_ID_OCTETS + 1);
	tcase_add_test(tests, quic_lb_refuses_another_shape);
	tcase_add_test(tests, no_key_is_freed);
	tcase_add_loop_test(tests, boundaries, 0, COUNT_OF(bounds));
	tcase_add_loop_test(tests, failing_random, 0, COUNT_OF(failures));
}
