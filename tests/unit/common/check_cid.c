/* CIDs of one shape, and what a server id is written as. */
#include <errno.h>
#include <stdlib.h>

#include "tests/fixtures/cid_layouts.h"
#include "tests/fixtures/octets.h"
#include "tests/fixtures/records.h"
#include "tests/unit/suite.h"

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

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, open_datagram, 0, COUNT_OF(opens));
	tcase_add_test(tests, id_is_comparable);
	tcase_add_test(tests, one_shape_for_all);
	tcase_add_test(tests, id_octets);
	tcase_add_loop_test(tests, from_number, 0, COUNT_OF(numbers));
	tcase_add_loop_test(tests, from_hex, 0, COUNT_OF(hexes));
}
