/* The question of the `coaps` probe and its answers, octet by octet; and the CID that a backend gave, against the
 * layout. */
#include <string.h>

#include "health/probe_cid.h"
#include "health/probe_get.h"
#include "tests/unit/suite.h"

/* Ids 0102 and 1112, tokens a1a2a3a4 and b1b2b3b4. */
static const uint8_t random_octets[PROBE_GET_RANDOM_OCTETS] = { 1,    2,    0xa1, 0xa2, 0xa3, 0xa4,
								0x11, 0x12, 0xb1, 0xb2, 0xb3, 0xb4 };

START_TEST(questions)
{
	static const uint8_t away[] = { 0x44, 1, 1, 2, 0xa1, 0xa2, 0xa3, 0xa4, 0xb1, 'a', 2, 'b', 'c' };
	static const uint8_t home[] = { 0x44, 1, 0x11, 0x12, 0xb1, 0xb2, 0xb3, 0xb4 };
	static const char longest[] = "/01234567890123456789012345678901234567890123456789012345678901";
	uint8_t out[PROBE_GET_OCTETS];
	struct probe_get get;

	probe_get_init(&get, random_octets);
	ck_assert_uint_eq(probe_get_write(&get, PROBE_GET_AWAY, "/a/bc", out), sizeof away);
	ck_assert_mem_eq(out, away, sizeof away);
	ck_assert_uint_eq(probe_get_write(&get, PROBE_GET_HOME, "/", out), sizeof home);
	ck_assert_mem_eq(out, home, sizeof home);
	ck_assert_uint_eq(strlen(longest), COAP_PATH_MAX - 1);
	ck_assert_uint_eq(probe_get_write(&get, PROBE_GET_HOME, longest, out), sizeof home + 2 + 62);
}
END_TEST

static const struct {
	const char *in;
	size_t len;
	bool accepted;
	const char *code, *words; /* NULL: not answered; no words */
	enum probe_get_from to;
	const char *reply; /* four octets, NULL: none */
} answers[] = {
	/* piggybacked */
	{ "\x64\x45\x01\x02\xa1\xa2\xa3\xa4\xffup", .len = 11, .code = "2.05 Content", .words = "up" },
	{ "\x64\x45\x11\x12\xb1\xb2\xb3\xb4", .len = 8, .code = "2.05 Content", .to = PROBE_GET_HOME },
	{ "\x64\x84\x01\x02\xa1\xa2\xa3\xa4\xff?", .len = 10, .code = "4.04 Not Found" },
	{ "\x64\xa3\x01\x02\xa1\xa2\xa3\xa4", .len = 8, .code = "5.03 Service Unavailable" },
	{ "\x64\x82\x01\x02\xa1\xa2\xa3\xa4", .len = 8, .code = "4.02" },
	{ "\x64\x44\x01\x02\xa1\xa2\xa3\xa4\xffup", .len = 11, .code = "2.04" },
	{ "\x64\x45\x11\x12\xa1\xa2\xa3\xa4", .len = 8 }, /* one token, the other's id */
	{ "\x64\x45\x01\x02\xa1\xa2\xa3\xa5", .len = 8 },
	{ "\x63\x45\x01\x02\xa1\xa2\xa3", .len = 7 },
	/* separate */
	{ "\x60\x00\x01\x02", .len = 4, .accepted = true },
	{ "\x60\x00\x01\x03", .len = 4 },
	{ "\x44\x45\x77\x88\xa1\xa2\xa3\xa4\xffup", .len = 11, .code = "2.05 Content", .words = "up",
	  .reply = "\x60\x00\x77\x88" },
	{ "\x54\x45\x77\x88\xb1\xb2\xb3\xb4", .len = 8, .code = "2.05 Content", .to = PROBE_GET_HOME },
	/* refused */
	{ "\x70\x00\x01\x02", .len = 4, .code = "RST" },
	{ "\x70\x00\x11\x12", .len = 4, .code = "RST", .to = PROBE_GET_HOME },
	{ "\x70\x00\x01\x03", .len = 4 },
	{ "\x74\x45\x01\x02\xa1\xa2\xa3\xa4", .len = 8 },
	/* what is not to us */
	{ "\x44\x45\x77\x88\xc1\xa2\xa3\xa4", .len = 8, .reply = "\x70\x00\x77\x88" },
	{ "\x40\x01\x77\x88", .len = 4, .reply = "\x70\x00\x77\x88" },
	{ "\x40\x00\x01\x02", .len = 4, .reply = "\x70\x00\x01\x02" }, /* a ping with an id that is ours by chance */
	{ "\x50\x01\x77\x88", .len = 4 },
	{ "\x44\x01\x01\x02\xa1\xa2\xa3\xa4", .len = 8, .reply = "\x70\x00\x01\x02" },
	{ "\x64\xe1\x01\x02\xa1\xa2\xa3\xa4", .len = 8 }, /* 7.01 */
	/* malformed */
	{ "\x64\x45\x01\x02\xa1\xa2\xa3\xa4\xff", .len = 9 },
	{ "\x64\x45\x01\x02\xa1", .len = 5 },
	{ "", .len = 0 },
};

START_TEST(answer)
{
	uint8_t reply[COAP_HEADER_OCTETS];
	struct probe_get get;

	probe_get_init(&get, random_octets);
	size_t len = probe_get_read(&get, (const uint8_t *)answers[_i].in, answers[_i].len, reply);
	ck_assert_uint_eq(len, answers[_i].reply ? 4 : 0);
	if (len)
		ck_assert_mem_eq(reply, answers[_i].reply, 4);
	ck_assert_int_eq(get.accepted, answers[_i].accepted);
	ck_assert_int_eq(get.answered, answers[_i].code != NULL);
	if (answers[_i].code) {
		ck_assert_str_eq(get.code, answers[_i].code);
		ck_assert_int_eq(get.to, answers[_i].to);
	}
	ck_assert_uint_eq(get.words_len, answers[_i].words ? strlen(answers[_i].words) : 0);
	if (answers[_i].words)
		ck_assert_mem_eq(get.words, answers[_i].words, get.words_len);
}
END_TEST

START_TEST(the_first_answer_counts)
{
	uint8_t reply[COAP_HEADER_OCTETS];
	struct probe_get get;

	probe_get_init(&get, random_octets);
	probe_get_read(&get, (const uint8_t *)"\x64\x84\x01\x02\xa1\xa2\xa3\xa4", 8, reply);
	ck_assert_uint_eq(probe_get_read(&get, (const uint8_t *)"\x44\x45\x77\x88\xb1\xb2\xb3\xb4\xffup", 11, reply),
			  4);
	ck_assert_mem_eq(reply, "\x60\x00\x77\x88", 4);
	ck_assert_str_eq(get.code, "4.04 Not Found");
	ck_assert_int_eq(get.to, PROBE_GET_AWAY);
	ck_assert_uint_eq(get.words_len, 0);
}
END_TEST

#define ID_LAYOUT(octets, id_at, id_octets)                                                                            \
	{                                                                                                              \
		.scheme = CID_LAYOUT_ID, .length = octets, .lbcid = {                                                  \
			.scheme = LBCID_NODE_ID,                                                                       \
			.length = octets,                                                                              \
			.offset = id_at,                                                                               \
			.size = id_octets                                                                              \
		}                                                                                                      \
	}

static const struct {
	struct cid_layout layout;
	struct server_id id;
	const char *cid;
	size_t len;
	enum health_finding finding;
	const char *reason;
} cids[] = {
	{ { .scheme = CID_LAYOUT_NONE }, { 0 }, "\1\2\3\4", 4, FINDING_UNKNOWN, "" },
	{ { .scheme = CID_LAYOUT_NONE }, { 0 }, "", 0, FINDING_UNKNOWN, "" },
	{ { .scheme = CID_LAYOUT_HASH, .length = 4 }, { 0 }, "\1\2\3\4", 4, FINDING_GOOD, "" },
	{ { .scheme = CID_LAYOUT_HASH, .length = 4 }, { 0 }, "\1\2\3\4\5", 5, FINDING_BAD, "length 5, configured 4" },
	{ { .scheme = CID_LAYOUT_HASH, .length = 4 }, { 0 }, "", 0, FINDING_BAD, "none, configured length 4" },
	{ ID_LAYOUT(4, 0, 1), { 1, { 1 } }, "\1\2\3\4", 4, FINDING_GOOD, "" },
	{ ID_LAYOUT(4, 0, 1), { 1, { 2 } }, "\1\2\3\4", 4, FINDING_BAD, "id 1, configured 2" },
	{ ID_LAYOUT(4, 1, 3), { 3, { 2, 3, 4 } }, "\1\2\3\4", 4, FINDING_GOOD, "" },
	{ ID_LAYOUT(4, 0, 4), { 4, { 0xff, 0, 0, 0 } }, "\0\0\1\4", 4, FINDING_BAD, "id 260, configured 4278190080" },
	{ ID_LAYOUT(5, 0, 5),
	  { 5, { 0, 0, 0, 0, 9 } },
	  "\1\2\3\4\5",
	  5,
	  FINDING_BAD,
	  "id 0x0102030405, configured 0x0000000009" },
	{ ID_LAYOUT(8, 0, 1), { 1, { 1 } }, "\1\2\3\4", 4, FINDING_BAD, "length 4, configured 8" },
};

START_TEST(cid)
{
	struct health_findings findings = { .cid = FINDING_BAD,
					    .cid_reason = "of another time",
					    .rebinding = FINDING_GOOD };
	const struct health_target spec = { .layout = cids[_i].layout,
					    .has_id = cids[_i].id.len > 0,
					    .id = cids[_i].id };

	probe_cid_judge(&findings, &spec, (const uint8_t *)cids[_i].cid, cids[_i].len);
	ck_assert_str_eq(findings.cid_reason, cids[_i].reason);
	ck_assert_int_eq(findings.cid, cids[_i].finding);
	ck_assert_int_eq(findings.rebinding, FINDING_GOOD);
}
END_TEST

/* draft-ietf-quic-load-balancers, plain: rotation 0, id c4605e, nonce 4504cc4f. */
START_TEST(cid_of_rotations)
{
	static const struct cid_rotation rotation = { .rotation = 0, .id_octets = 3, .nonce_octets = 4 };
	static const uint8_t id[] = { 0xc4, 0x60, 0x5e };
	uint8_t octets[] = { 0x07, 0xc4, 0x60, 0x5e, 0x45, 0x04, 0xcc, 0x4f };
	struct health_findings findings = { 0 };
	struct health_target spec = { .has_id = true, .id = { .len = 3 } };

	memcpy(spec.id.octets, id, sizeof id);
	ck_assert_int_eq(cid_layout_make(&spec.layout, &rotation, 1), 0);
	probe_cid_judge(&findings, &spec, octets, sizeof octets);
	ck_assert_int_eq(findings.cid, FINDING_GOOD);
	octets[0] = 0x27;
	probe_cid_judge(&findings, &spec, octets, sizeof octets);
	ck_assert_str_eq(findings.cid_reason, "rotation 1, which is not configured");
	probe_cid_judge(&findings, &spec, octets, sizeof octets - 1);
	ck_assert_str_eq(findings.cid_reason, "length 7, configured 8");
	cid_layout_drop(&spec.layout);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, questions);
	tcase_add_loop_test(tests, answer, 0, (int)(sizeof answers / sizeof *answers));
	tcase_add_test(tests, the_first_answer_counts);
	tcase_add_loop_test(tests, cid, 0, (int)(sizeof cids / sizeof *cids));
	tcase_add_test(tests, cid_of_rotations);
}
