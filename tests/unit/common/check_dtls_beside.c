/* What stands beside a CID record, in every place: each type of record, before, behind and between records with CIDs of
 * DTLS 1.2 and 1.3. And how many. */
#include <stdio.h>
#include <stdlib.h>

#include "common/cid.h"
#include "tests/fixtures/octets.h"
#include "tests/fixtures/records.h"
#include "tests/unit/suite.h"

#define CIPHER16           "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define PLAIN(type, epoch) type " fefd " epoch " 000000000007 0010" CIPHER16
#define CID12              "19 fefd 0001 000000000007 0720b1d07b359d3c 0010" CIPHER16
#define CID12_OF_ANOTHER   "19 fefd 0001 000000000008 0720b1d07b359d3d 0010" CIPHER16
#define CID13              "3d 0720b1d07b359d3c 0007 0010" CIPHER16
#define CID13_OF_ANOTHER   "3d 0820b1d07b359d3c 0008 0010" CIPHER16

enum version { V12, V13, VERSIONS };

static const char *const cid_record[VERSIONS] = { CID12, CID13 };

static const struct {
	const char *name, *hex;
	enum cid_result before[VERSIONS], behind[VERSIONS]; /* CID_OPENED: may stand there */
	enum dtls_kind first; /* DTLS_CID: the walk reads on to the CID; else what it ends with */
} others[] = {
/* clang-format off */
#define NEITHER { CID_MIXED, CID_MIXED }, { CID_MIXED, CID_MIXED }
#define BEFORE  { CID_OPENED, CID_OPENED }, { CID_MIXED, CID_MIXED }
#define BEHIND13 { CID_MIXED, CID_MIXED }, { CID_MIXED, CID_OPENED }
#define SAME12  { CID_OPENED, CID_MIXED }, { CID_OPENED, CID_MIXED }
#define SAME13  { CID_MIXED, CID_OPENED }, { CID_MIXED, CID_OPENED }
	{ "CCS", PLAIN("14", "0000"), BEFORE, DTLS_CID },
	{ "CCS of epoch 1", PLAIN("14", "0001"), NEITHER, DTLS_MIXED },
	{ "alert", PLAIN("15", "0000"), NEITHER, DTLS_MIXED },
	{ "alert of epoch 1", PLAIN("15", "0001"), NEITHER, DTLS_MIXED },
	{ "key exchange", PLAIN("16", "0000"), BEFORE, DTLS_CID },
	{ "handshake of epoch 1", PLAIN("16", "0001"), NEITHER, DTLS_MIXED },
	{ "ClientHello", MBEDTLS_CLIENT_HELLO, NEITHER, DTLS_MIXED },
	{ "ClientHello, a later fragment", "16 fefd 0000 000000000007 000d 01 000051 0000 000010 000001 ee", NEITHER, DTLS_MIXED },
	{ "application data", PLAIN("17", "0001"), NEITHER, DTLS_MIXED },
	{ "application data of epoch 0", PLAIN("17", "0000"), NEITHER, DTLS_EPOCH0_DATA },
	{ "heartbeat", PLAIN("18", "0000"), NEITHER, DTLS_MIXED },
	{ "heartbeat of epoch 1", PLAIN("18", "0001"), NEITHER, DTLS_MIXED },
	{ "acknowledgement", PLAIN("1a", "0000"), NEITHER, DTLS_MIXED },
	{ "acknowledgement of epoch 1", PLAIN("1a", "0001"), NEITHER, DTLS_MIXED },
	{ "return routability check", PLAIN("1b", "0000"), NEITHER, DTLS_MIXED },
	{ "return routability check of epoch 1", PLAIN("1b", "0001"), NEITHER, DTLS_MIXED },
	{ "1.3 without CID", "2d 0007 0010" CIPHER16, BEHIND13, DTLS_MIXED },
	{ "CID of epoch 0", "19 fefd 0000 000000000007 0720b1d07b359d3c 0010" CIPHER16, NEITHER, DTLS_EPOCH0_DATA },
	{ "CID, version feff", "19 feff 0001 000000000007 0720b1d07b359d3c 0010" CIPHER16, NEITHER, DTLS_MALFORMED },
	{ "CID of 1.2", CID12, SAME12, DTLS_CID },
	{ "CID of 1.3", CID13, SAME13, DTLS_CID },
	{ "another CID of 1.2", CID12_OF_ANOTHER, NEITHER, DTLS_CID },
	{ "another CID of 1.3", CID13_OF_ANOTHER, NEITHER, DTLS_CID },
	{ "no DTLS", "ff", NEITHER, DTLS_BAD_TYPE },
	{ "type 28", PLAIN("1c", "0001"), NEITHER, DTLS_BAD_TYPE },
	/* clang-format on */
};

static const struct cid_layout layout = { .scheme = CID_LAYOUT_ID,
					  .lbcid = { LBCID_NODE_ID, .length = 8, .size = 1 },
					  .length = 8 };

/* What the walk finds in these records; if that is a CID, what opening it says. */
static enum dtls_kind read_all(enum cid_result *result, const char *a, const char *b, const char *c)
{
	char hex[1024];
	struct octets in;
	struct dtls_view view;
	struct cid_opened opened;

	snprintf(hex, sizeof hex, "%s%s%s", a, b, c);
	in = octets_of(hex);
	dtls_walk(&view, in.at, in.len);
	*result = CID_MIXED;
	if (view.kind == DTLS_CID) {
		cid_open(&opened, &layout, &view, in.at, in.len);
		*result = opened.result;
	}
	free(in.at);
	return view.kind;
}

START_TEST(before)
{
	for (enum version v = 0; v < VERSIONS; v++) {
		enum cid_result result;

		const enum dtls_kind kind = read_all(&result, others[_i].hex, cid_record[v], "");
		ck_assert_msg(kind == others[_i].first, "%s: kind %d", others[_i].name, kind);
		ck_assert_msg(result == others[_i].before[v], "%s, 1.%d: %d", others[_i].name, v + 2, result);
	}
}
END_TEST

START_TEST(behind)
{
	for (enum version v = 0; v < VERSIONS; v++) {
		enum cid_result result;

		ck_assert_int_eq(read_all(&result, cid_record[v], others[_i].hex, ""), DTLS_CID);
		ck_assert_msg(result == others[_i].behind[v], "%s, 1.%d: %d", others[_i].name, v + 2, result);
		/* Between two, and as the third. */
		ck_assert_int_eq(read_all(&result, cid_record[v], others[_i].hex, cid_record[v]), DTLS_CID);
		ck_assert_msg(result == others[_i].behind[v], "%s, between, 1.%d: %d", others[_i].name, v + 2, result);
		ck_assert_int_eq(read_all(&result, cid_record[v], cid_record[v], others[_i].hex), DTLS_CID);
		ck_assert_msg(result == others[_i].behind[v], "%s, last, 1.%d: %d", others[_i].name, v + 2, result);
	}
}
END_TEST

/* A record behind that is cut short anywhere. */
START_TEST(behind_cut)
{
	for (enum version v = 0; v < VERSIONS; v++) {
		struct octets one = octets_of(cid_record[v]);

		for (size_t len = one.len; len <= 2 * one.len; len++) {
			uint8_t *both = malloc(len);
			struct dtls_view view;
			struct cid_opened opened;

			memcpy(both, one.at, one.len);
			memcpy(both + one.len, one.at, len - one.len);
			dtls_walk(&view, both, len);
			cid_open(&opened, &layout, &view, both, len);
			ck_assert_msg((opened.result == CID_OPENED) == (len == one.len || len == 2 * one.len),
				      "1.%d, %zu of %zu octets", v + 2, len, 2 * one.len);
			ck_assert_int_ne(opened.result, CID_MISFIT);
			free(both);
		}
		free(one.at);
	}
}
END_TEST

/* `count` records, of which `flight` are CCS and stand first; then CID records. */
static enum cid_result read_many(size_t flight, size_t count, enum version v)
{
	struct octets ccs = octets_of(PLAIN("14", "0000")), cid = octets_of(cid_record[v]);
	uint8_t *data = malloc(count * (ccs.len + cid.len));
	size_t len = 0;
	struct dtls_view view;
	struct cid_opened opened = { .result = CID_MIXED };

	for (size_t i = 0; i < count; i++) {
		const struct octets *record = i < flight ? &ccs : &cid;
		memcpy(data + len, record->at, record->len);
		len += record->len;
	}
	dtls_walk(&view, data, len);
	if (view.kind == DTLS_CID)
		cid_open(&opened, &layout, &view, data, len);
	else
		ck_assert_int_eq(view.kind, DTLS_MIXED);
	free(data);
	free(ccs.at);
	free(cid.at);
	return opened.result;
}

START_TEST(sixteen_records)
{
	for (enum version v = 0; v < VERSIONS; v++)
		for (size_t count = 1; count <= 40; count++)
			for (size_t flight = 0; flight < count; flight++)
				ck_assert_msg(read_many(flight, count, v) == (count <= 16 ? CID_OPENED : CID_MIXED),
					      "1.%d: %zu records, %zu of them a flight", v + 2, count, flight);
}
END_TEST

/* Without a CID as well: the walk ends there. */
START_TEST(sixteen_records_without_cid)
{
	static const char *const first[] = { PLAIN("14", "0000"), PLAIN("17", "0001"),
					     "16 fefd 0000 000000000007 000c 01 000000 0000 000000 000000" };
	static const char *const then[] = { PLAIN("14", "0000"), "2d 0007 0010" CIPHER16, "2d 0007 0010" CIPHER16 };
	static const enum dtls_kind good[] = { DTLS_OTHER, DTLS_OTHER, DTLS_HELLO };

	for (size_t form = 0; form < 3; form++) {
		struct octets a = octets_of(first[form]), b = octets_of(then[form]);

		for (size_t count = 1; count <= 40; count++) {
			uint8_t *data = malloc(a.len + count * b.len);
			struct dtls_view view;

			memcpy(data, a.at, a.len);
			for (size_t i = 1; i < count; i++)
				memcpy(data + a.len + (i - 1) * b.len, b.at, b.len);
			dtls_walk(&view, data, a.len + (count - 1) * b.len);
			ck_assert_msg(view.kind == (count <= 16 ? good[form] : DTLS_MIXED), "%zu: %zu records: %d",
				      form, count, view.kind);
			free(data);
		}
		free(a.at);
		free(b.at);
	}
}
END_TEST

/* Datagrams of real stacks. */
START_TEST(captures)
{
	static const char *const all[] = { MBEDTLS_FLIGHT5, MBEDTLS_APPLICATION_DATA,
					   MBEDTLS_APPLICATION_DATA MBEDTLS_APPLICATION_DATA,
					   MBEDTLS_FLIGHT5 MBEDTLS_APPLICATION_DATA };
	enum cid_result result;

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		ck_assert_int_eq(read_all(&result, all[i], "", ""), DTLS_CID);
		ck_assert_int_eq(result, CID_OPENED);
	}
	ck_assert_int_eq(read_all(&result, MBEDTLS_CLIENT_HELLO, "", ""), DTLS_HELLO);
	ck_assert_int_eq(read_all(&result, OPENSSL_CLIENT_HELLO, "", ""), DTLS_HELLO);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, before, 0, COUNT_OF(others));
	tcase_add_loop_test(tests, behind, 0, COUNT_OF(others));
	tcase_add_test(tests, behind_cut);
	tcase_add_test(tests, sixteen_records);
	tcase_add_test(tests, sixteen_records_without_cid);
	tcase_add_test(tests, captures);
}
