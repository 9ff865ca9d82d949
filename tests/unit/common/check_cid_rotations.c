/* QUIC-LB: the first octet of a CID says by which configuration it is read. */
#include <errno.h>
#include <stdlib.h>

#include "tests/fixtures/cid_layouts.h"
#include "tests/fixtures/octets.h"
#include "tests/fixtures/records.h"
#include "tests/unit/suite.h"

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
	tcase_add_loop_test(tests, open_by_rotation, 0, COUNT_OF(rotated));
	tcase_add_test(tests, rotations);
	tcase_add_test(tests, shared);
	tcase_add_loop_test(tests, make, 0, COUNT_OF(made));
	tcase_add_test(tests, layouts_that_differ_hash_differently);
}
