#include <errno.h>
#include <stdlib.h>

#include "common/cid.h"
#include "tests/fixtures/octets.h"
#include "tests/fixtures/records.h"
#include "tests/unit/suite.h"

#define CIPHER16 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

#define NODE_ID(length_, offset_, size_)                                                                               \
	{                                                                                                              \
		.scheme = CID_LAYOUT_ID,                                                                               \
		.lbcid = { .scheme = LBCID_NODE_ID, .length = (length_), .offset = (offset_), .size = (size_) },       \
		.length = (length_)                                                                                    \
	}
#define HASH(length_)                                                                                                  \
	{                                                                                                              \
		.scheme = CID_LAYOUT_HASH, .length = (length_)                                                         \
	}
#define NONE                                                                                                           \
	{                                                                                                              \
		.scheme = CID_LAYOUT_NONE                                                                              \
	}

static const struct {
	const char *name, *hex;
	struct cid_layout layout;
	enum cid_result result;
	const char *cid, *id;
} opens[] = {
	/* clang-format off */
	{ "id first", MBEDTLS_APPLICATION_DATA, NODE_ID(8, 0, 1), CID_OPENED, "0720b1d07b359d3c", "07" },
	{ "id of three octets inside", MBEDTLS_APPLICATION_DATA, NODE_ID(8, 1, 3), CID_OPENED, "0720b1d07b359d3c", "20b1d0" },
	{ "id last", MBEDTLS_APPLICATION_DATA, NODE_ID(8, 7, 1), CID_OPENED, "0720b1d07b359d3c", "3c" },
	{ "id is the CID", MBEDTLS_APPLICATION_DATA, NODE_ID(8, 0, 8), CID_OPENED, "0720b1d07b359d3c", "0720b1d07b359d3c" },
	{ "behind a handshake", MBEDTLS_FLIGHT5, NODE_ID(8, 0, 2), CID_OPENED, "0720b1d07b359d3c", "0720" },
	{ "hash", MBEDTLS_APPLICATION_DATA, HASH(8), CID_HASHED, "0720b1d07b359d3c", "" },
	{ "1.3, rest", "32 c1d2 07" CIPHER16, NODE_ID(2, 0, 1), CID_OPENED, "c1d2", "c1" },
	{ "1.3, seq 2 and length", "3e c1d2 0007 0010" CIPHER16, NODE_ID(2, 1, 1), CID_OPENED, "c1d2", "d2" },
	{ "1.3, hash", "3e c1d2 0007 0010" CIPHER16, HASH(2), CID_HASHED, "c1d2", "" },
	{ "CID of one octet", "19 fefd 0001 000000000007 c1 0001 aa", NODE_ID(1, 0, 1), CID_OPENED, "c1", "c1" },
	{ "CID of 20, id of 15", "19 fefd 0001 000000000007 000102030405060708090a0b0c0d0e0f10111213 0001 aa", NODE_ID(20, 5, 15), CID_OPENED,
	  "000102030405060708090a0b0c0d0e0f10111213", "05060708090a0b0c0d0e0f10111213" },

	/* Misfits: what is there of the layout's length */
	{ "read as 6", MBEDTLS_APPLICATION_DATA, NODE_ID(6, 0, 1), CID_MISFIT, "0720b1d07b35", "" },
	{ "read as 9, hash", MBEDTLS_APPLICATION_DATA, HASH(9), CID_MISFIT, "0720b1d07b359d3c00", "" },
	{ "length too long by one", "19 fefd 0001 000000000007 c1d2 0002 aa", NODE_ID(2, 0, 1), CID_MISFIT, "c1d2", "" },
	{ "no ciphertext", "19 fefd 0001 000000000007 c1d2 0000", NODE_ID(2, 0, 1), CID_MISFIT, "c1d2", "" },
	{ "cut in the CID", "19 fefd 0001 000000000007 c1d2c3", NODE_ID(8, 0, 1), CID_MISFIT, "c1d2c3", "" },
	{ "cut behind the CID", "19 fefd 0001 000000000007 c1d2c3", NODE_ID(3, 0, 1), CID_MISFIT, "c1d2c3", "" },
	{ "1.3, 15 octets of ciphertext", "32 c1d2 07" CIPHER16, NODE_ID(3, 0, 1), CID_MISFIT, "c1d207", "" },
	{ "1.3, longer than the datagram", "32 c1 07" CIPHER16, NODE_ID(20, 0, 1), CID_MISFIT, "c107" CIPHER16, "" },
	/* clang-format on */
};

START_TEST(open_datagram)
{
	const struct octets in = octets_of(opens[_i].hex), cid = octets_of(opens[_i].cid), id = octets_of(opens[_i].id);
	struct cid_opened got;
	struct server_id bare;
	struct dtls_view view;

	memset(&got, 0xee, sizeof got);
	dtls_walk(&view, in.at, in.len);
	ck_assert_int_eq(view.kind, DTLS_CID);
	cid_open(&got, &opens[_i].layout, &view, in.at, in.len);
	ck_assert_msg(got.result == opens[_i].result, "%s: %d", opens[_i].name, got.result);
	ck_assert_ptr_eq(got.cid, in.at + view.cid_at);
	ck_assert_uint_eq(got.cid_len, cid.len);
	ck_assert_mem_eq(got.cid, cid.at, cid.len);
	if (got.result == CID_OPENED) {
		ck_assert_uint_eq(got.id.len, id.len);
		ck_assert_mem_eq(got.id.octets, id.at, id.len);
	}
	memset(&bare, 0xee, sizeof bare);
	if (got.result != CID_MISFIT) {
		ck_assert_int_eq(cid_open_octets(&bare, &opens[_i].layout, cid.at, cid.len), got.result);
		ck_assert_mem_eq(&bare, &got.id, sizeof bare);
		ck_assert_int_eq(cid_open_octets(&bare, &opens[_i].layout, cid.at, cid.len - 1), CID_MISFIT);
	}
	free(in.at);
	free(cid.at);
	free(id.at);
}
END_TEST

/* One server id is one value, whatever was in the struct before: tables compare and hash it whole. */
START_TEST(id_is_comparable)
{
	const struct cid_layout layout = NODE_ID(8, 0, 2);
	const struct octets in = octets_of(MBEDTLS_APPLICATION_DATA);
	struct server_id by_number, by_hex;
	struct cid_opened got;
	struct dtls_view view;

	memset(&got, 0xee, sizeof got);
	memset(&by_number, 0xdd, sizeof by_number);
	memset(&by_hex, 0xcc, sizeof by_hex);
	dtls_walk(&view, in.at, in.len);
	cid_open(&got, &layout, &view, in.at, in.len);
	ck_assert_int_eq(cid_id_from_number(&by_number, &layout, 0x0720), 0);
	ck_assert_int_eq(cid_id_from_hex(&by_hex, &layout, "0720"), 0);
	ck_assert_mem_eq(&got.id, &by_number, sizeof by_number);
	ck_assert_mem_eq(&got.id, &by_hex, sizeof by_hex);
	free(in.at);
}
END_TEST

START_TEST(id_octets)
{
	static const struct cid_layout id = NODE_ID(8, 2, 3), hash = HASH(8), none = NONE;

	ck_assert_uint_eq(cid_id_octets(&id), 3);
	ck_assert_uint_eq(cid_id_octets(&hash), 0);
	ck_assert_uint_eq(cid_id_octets(&none), 0);
}
END_TEST

static const struct {
	struct cid_layout layout;
	uint64_t number;
	int expected;
	const char *id;
} numbers[] = {
	/* clang-format off */
	{ NODE_ID(6, 0, 1), 0, 0, "00" },
	{ NODE_ID(6, 0, 1), 9, 0, "09" },
	{ NODE_ID(6, 0, 1), 255, 0, "ff" },
	{ NODE_ID(6, 0, 1), 256, -ERANGE, "" },
	{ NODE_ID(6, 0, 2), 256, 0, "0100" },
	{ NODE_ID(6, 0, 2), 65535, 0, "ffff" },
	{ NODE_ID(6, 0, 2), 65536, -ERANGE, "" },
	{ NODE_ID(8, 0, 7), UINT64_C(1) << 56, -ERANGE, "" },
	{ NODE_ID(8, 0, 8), UINT64_MAX, 0, "ffffffffffffffff" },
	{ NODE_ID(20, 0, 15), UINT64_C(0x0102030405060708), 0, "000000000000000102030405060708" },
	{ HASH(6), 0, -ERANGE, "" },
	{ NONE, 0, -ERANGE, "" },
	/* clang-format on */
};

START_TEST(from_number)
{
	const struct octets id = octets_of(numbers[_i].id);
	struct server_id got;

	ck_assert_int_eq(cid_id_from_number(&got, &numbers[_i].layout, numbers[_i].number), numbers[_i].expected);
	if (numbers[_i].expected == 0) {
		ck_assert_uint_eq(got.len, id.len);
		ck_assert_mem_eq(got.octets, id.at, id.len);
	}
	free(id.at);
}
END_TEST

static const struct {
	struct cid_layout layout;
	const char *hex;
	int expected;
	const char *id;
} hexes[] = {
	/* clang-format off */
	{ NODE_ID(8, 0, 3), "ed793a", 0, "ed793a" },
	{ NODE_ID(8, 0, 3), "ED793A", 0, "ed793a" },
	{ NODE_ID(8, 0, 5), "09afAF9099", 0, "09afaf9099" },
	{ NODE_ID(20, 0, 15), "000102030405060708090a0b0c0d0e", 0, "000102030405060708090a0b0c0d0e" },
	{ NODE_ID(8, 0, 3), "ed793", -ERANGE, "" },
	{ NODE_ID(8, 0, 3), "ed793a5", -ERANGE, "" },
	{ NODE_ID(8, 0, 3), "ed79", -ERANGE, "" },
	{ NODE_ID(8, 0, 3), "ed793a51", -ERANGE, "" },
	{ NODE_ID(8, 0, 3), "", -EINVAL, "" },
	{ NODE_ID(8, 0, 3), "0xed79", -EINVAL, "" },
	{ NODE_ID(8, 0, 3), "ed793g", -EINVAL, "" },
	{ NODE_ID(8, 0, 3), "ed 93a", -EINVAL, "" },
	{ NODE_ID(8, 0, 3), " ed793a", -EINVAL, "" },
	{ NODE_ID(8, 0, 3), "ed793a\n", -EINVAL, "" },
	{ NODE_ID(8, 0, 3), "/:@G`g", -EINVAL, "" },
	{ HASH(8), "ed", -ERANGE, "" },
	{ NONE, "ed", -ERANGE, "" },
	/* clang-format on */
};

START_TEST(from_hex)
{
	const struct octets id = octets_of(hexes[_i].id);
	struct server_id got;

	ck_assert_int_eq(cid_id_from_hex(&got, &hexes[_i].layout, hexes[_i].hex), hexes[_i].expected);
	if (hexes[_i].expected == 0) {
		ck_assert_uint_eq(got.len, id.len);
		ck_assert_mem_eq(got.octets, id.at, id.len);
	}
	free(id.at);
}
END_TEST

#define KEY                                                                                                            \
	{                                                                                                              \
		0x8f, 0x95, 0xf0, 0x92, 0x45, 0x76, 0x5f, 0x80, 0x25, 0x69, 0x34, 0xe5, 0x0c, 0x66, 0x20, 0x7f         \
	}
#define RECORD   "19 fefd 0001 000000000007 "
#define CONTENTS "0010" CIPHER16

/* Rotation 0 as in the draft's first vector, 5 plain, 2 longer and with another key. */
static const struct cid_rotation three[] = {
	{ .rotation = 0, .id_octets = 3, .nonce_octets = 4, .has_key = true, .key = KEY },
	{ .rotation = 5, .id_octets = 3, .nonce_octets = 4 },
	{ .rotation = 2, .id_octets = 3, .nonce_octets = 6, .has_key = true, .key = { 1 } },
};

static struct cid_layout quic_lb(void)
{
	struct cid_layout layout;

	ck_assert_int_eq(cid_layout_make(&layout, three, COUNT_OF(three)), 0);
	return layout;
}

static const struct {
	const char *name, *hex;
	enum cid_result result;
	const char *cid, *id;
} rotated[] = {
	/* clang-format off */
	{ "rotation 0", MBEDTLS_APPLICATION_DATA, CID_OPENED, "0720b1d07b359d3c", "ed793a" },
	{ "rotation 0, behind a handshake", MBEDTLS_FLIGHT5, CID_OPENED, "0720b1d07b359d3c", "ed793a" },
	{ "rotation 0, random length bits", RECORD "1f20b1d07b359d3c" CONTENTS, CID_OPENED, "1f20b1d07b359d3c", "ed793a" },
	{ "rotation 5, plain", RECORD "a7c4605e4504cc4f" CONTENTS, CID_OPENED, "a7c4605e4504cc4f", "c4605e" },
	{ "rotation 5, DTLS 1.3", "32 a7c4605e4504cc4f 07" CIPHER16, CID_OPENED, "a7c4605e4504cc4f", "c4605e" },
	{ "rotation 0, as long as 2", RECORD "0920b1d07b359d3c0000" CONTENTS, CID_MISFIT, "0920b1d07b359d3c", "" },
	{ "rotation 2, as long as 0", RECORD "4720b1d07b359d3c" CONTENTS, CID_MISFIT, "4720b1d07b359d3c0010", "" },
	{ "rotation 1: not live", RECORD "2720b1d07b359d3c" CONTENTS, CID_MISFIT, "2720b1d07b359d3c", "" },
	{ "rotation 7: of no balancer", RECORD "e320b1d0" CONTENTS, CID_MISFIT, "e320b1d0", "" },
	{ "rotation 7, longer than a CID", RECORD "ff20b1d0" CONTENTS, CID_MISFIT, "ff20b1d00010" "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "" },
	{ "rotation 7, one octet", RECORD "e0" CONTENTS, CID_MISFIT, "e0", "" },
	{ "rotation 0, cut", RECORD "0720b1d07b", CID_MISFIT, "0720b1d07b", "" },
	/* clang-format on */
};

START_TEST(open_by_rotation)
{
	const struct octets in = octets_of(rotated[_i].hex), cid = octets_of(rotated[_i].cid),
			    id = octets_of(rotated[_i].id);
	struct cid_layout layout = quic_lb();
	struct cid_opened got;
	struct server_id bare;
	struct dtls_view view;

	memset(&got, 0xee, sizeof got);
	dtls_walk(&view, in.at, in.len);
	ck_assert_int_eq(view.kind, DTLS_CID);
	cid_open(&got, &layout, &view, in.at, in.len);
	ck_assert_msg(got.result == rotated[_i].result, "%s: %d", rotated[_i].name, got.result);
	ck_assert_uint_eq(got.cid_len, cid.len);
	ck_assert_mem_eq(got.cid, cid.at, cid.len);
	ck_assert_uint_eq(got.id.len, id.len);
	ck_assert_mem_eq(got.id.octets, id.at, id.len);
	if (got.result == CID_OPENED) {
		ck_assert_int_eq(cid_open_octets(&bare, &layout, cid.at, cid.len), CID_OPENED);
		ck_assert_mem_eq(&bare, &got.id, sizeof bare);
		ck_assert_int_eq(cid_open_octets(&bare, &layout, cid.at, cid.len - 1), CID_MISFIT);
	}
	ck_assert_int_eq(cid_open_octets(&bare, &layout, NULL, 0), CID_MISFIT);
	cid_layout_drop(&layout);
	free(in.at);
	free(cid.at);
	free(id.at);
}
END_TEST

START_TEST(rotations)
{
	struct cid_layout layout = quic_lb();

	ck_assert_int_eq(layout.scheme, CID_LAYOUT_ID);
	ck_assert_uint_eq(layout.length, 10);
	ck_assert_uint_eq(cid_id_octets(&layout), 3);
	for (uint8_t rotation = 0; rotation < 8; rotation++) {
		const struct lbcid_config *config = cid_config(&layout, rotation);

		ck_assert_int_eq(config != NULL, rotation == 0 || rotation == 2 || rotation == 5);
		ck_assert(!config || (config->rotation == rotation && (config->key != NULL) == (rotation != 5)));
	}
	ck_assert_ptr_null(cid_config(&layout, 255));
	ck_assert_uint_eq(layout.lbcid.rotation, 0);
	ck_assert_uint_eq(cid_length(&layout, 0x00), 8);
	ck_assert_uint_eq(cid_length(&layout, 0x5f), 10);
	ck_assert_uint_eq(cid_length(&layout, 0xe0), 1);
	ck_assert_uint_eq(cid_length(&layout, 0x33), 20);
	ck_assert_uint_eq(cid_length(&layout, 0x34), 20);
	ck_assert_uint_eq(cid_length(&layout, 0xff), 20);
	cid_layout_drop(&layout);
	ck_assert_int_eq(layout.scheme, CID_LAYOUT_NONE);
	ck_assert_ptr_null(layout.rotations);
	cid_layout_drop(&layout);
}
END_TEST

START_TEST(one_shape_for_all)
{
	static const struct cid_layout node_id = NODE_ID(8, 0, 2), hash = HASH(9), none = NONE;

	ck_assert_ptr_eq(cid_config(&node_id, 0), &node_id.lbcid);
	ck_assert_ptr_eq(cid_config(&node_id, 255), &node_id.lbcid);
	ck_assert_ptr_null(cid_config(&hash, 0));
	ck_assert_ptr_null(cid_config(&none, 0));
	ck_assert_uint_eq(cid_length(&node_id, 0xff), 8);
	ck_assert_uint_eq(cid_length(&hash, 0), 9);
	ck_assert_uint_eq(cid_length(&none, 0), 0);
}
END_TEST

/* A share outlives what it was taken of. */
START_TEST(shared)
{
	static const uint8_t cid[] = { 0x07, 0x20, 0xb1, 0xd0, 0x7b, 0x35, 0x9d, 0x3c };
	struct cid_layout layout = quic_lb(), share = cid_layout_share(&layout), other = cid_layout_share(&share);
	struct server_id id;

	cid_layout_drop(&layout);
	cid_layout_drop(&share);
	ck_assert_int_eq(cid_open_octets(&id, &other, cid, sizeof cid), CID_OPENED);
	ck_assert_uint_eq(id.octets[0], 0xed);
	cid_layout_drop(&other);
}
END_TEST

#define ROTATION(rotation_, id_, nonce_)                                                                               \
	{                                                                                                              \
		.rotation = (rotation_), .id_octets = (id_), .nonce_octets = (nonce_)                                  \
	}

static const struct {
	struct cid_rotation configs[2];
	size_t count;
	int expected;
} made[] = {
	/* clang-format off */
	{ { ROTATION(0, 1, 4) }, 0, -EINVAL },
	{ { ROTATION(0, 1, 4) }, 1, 0 },
	{ { ROTATION(6, 15, 4) }, 1, 0 },
	{ { ROTATION(7, 1, 4) }, 1, -EINVAL },
	{ { ROTATION(0, 0, 4) }, 1, -EINVAL },
	{ { ROTATION(0, 1, 3) }, 1, -EINVAL },
	{ { ROTATION(0, 1, 18) }, 1, 0 },
	{ { ROTATION(0, 1, 19) }, 1, -EINVAL },
	{ { ROTATION(0, 16, 4) }, 1, -EINVAL },
	{ { ROTATION(0, 15, 5) }, 1, -EINVAL },
	{ { ROTATION(0, 255, 7) }, 1, -EINVAL },
	{ { ROTATION(0, 7, 255) }, 1, -EINVAL },
	{ { ROTATION(0, 2, 4), ROTATION(1, 2, 5) }, 2, 0 },
	{ { ROTATION(1, 2, 4), ROTATION(1, 2, 5) }, 2, -EINVAL },
	{ { ROTATION(0, 2, 4), ROTATION(1, 3, 4) }, 2, -EINVAL },
	/* clang-format on */
};

START_TEST(make)
{
	struct cid_layout layout;

	memset(&layout, 0xee, sizeof layout);
	ck_assert_int_eq(cid_layout_make(&layout, made[_i].configs, made[_i].count), made[_i].expected);
	ck_assert_int_eq(layout.scheme, made[_i].expected == 0 ? CID_LAYOUT_ID : CID_LAYOUT_NONE);
	cid_layout_drop(&layout);
}
END_TEST

START_TEST(layouts_that_differ_hash_differently)
{
	static const struct siphash_key key = { 1, 2 }, other_key = { 1, 3 };
	struct cid_rotation configs[COUNT_OF(three)];
	struct cid_layout layouts[] = {
		NONE,      HASH(6),   HASH(7),  NODE_ID(6, 0, 1), NODE_ID(7, 0, 1), NODE_ID(7, 1, 1), NODE_ID(7, 1, 2),
		quic_lb(), quic_lb(), quic_lb()
	};
	const int count = COUNT_OF(layouts);

	memcpy(configs, three, sizeof configs);
	configs[2].key[15] ^= 1;
	cid_layout_drop(&layouts[count - 2]);
	ck_assert_int_eq(cid_layout_make(&layouts[count - 2], configs, COUNT_OF(three)), 0);
	cid_layout_drop(&layouts[count - 1]);
	ck_assert_int_eq(cid_layout_make(&layouts[count - 1], three, 2), 0);
	for (int i = 0; i < count; i++) {
		for (int j = 0; j < i; j++)
			ck_assert_uint_ne(cid_layout_hash(&layouts[i], &key), cid_layout_hash(&layouts[j], &key));
		ck_assert_uint_ne(cid_layout_hash(&layouts[i], &key), cid_layout_hash(&layouts[i], &other_key));
	}
	struct cid_layout again = quic_lb();
	ck_assert_uint_eq(cid_layout_hash(&again, &key), cid_layout_hash(&layouts[count - 3], &key));
	cid_layout_drop(&again);
	for (int i = 0; i < count; i++)
		cid_layout_drop(&layouts[i]);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, open_datagram, 0, COUNT_OF(opens));
	tcase_add_test(tests, id_is_comparable);
	tcase_add_loop_test(tests, open_by_rotation, 0, COUNT_OF(rotated));
	tcase_add_test(tests, rotations);
	tcase_add_test(tests, one_shape_for_all);
	tcase_add_test(tests, shared);
	tcase_add_loop_test(tests, make, 0, COUNT_OF(made));
	tcase_add_test(tests, layouts_that_differ_hash_differently);
	tcase_add_test(tests, id_octets);
	tcase_add_loop_test(tests, from_number, 0, COUNT_OF(numbers));
	tcase_add_loop_test(tests, from_hex, 0, COUNT_OF(hexes));
}
