#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/steering.h"
#include "tests/unit/suite.h"

static const struct cid_layout node_id = { .scheme = CID_LAYOUT_ID, .lbcid = { .length = 6, .size = 1 }, .length = 6 };
static const struct cid_layout long_id = { .scheme = CID_LAYOUT_ID, .lbcid = { .length = 8, .size = 3 }, .length = 8 };
static const struct cid_layout huge_id = { .scheme = CID_LAYOUT_ID,
					   .lbcid = { .length = 20, .size = 15 },
					   .length = 20 };
static const struct cid_layout eight_octets = { .scheme = CID_LAYOUT_ID,
						.lbcid = { .length = 8, .size = 8 },
						.length = 8 };
static const struct cid_layout no_ids = { .scheme = CID_LAYOUT_HASH, .length = 6 };

static struct steering said;
static bool counts;
static char unknown[STEERING_WORD_OCTETS];

/* From memory of exactly this size: AddressSanitizer sees a read behind it. */
static void read_octets(const struct cid_layout *layout, const void *text, size_t len)
{
	uint8_t *copy = len ? malloc(len) : NULL;

	if (len)
		memcpy(copy, text, len);
	memset(&said, 0xff, sizeof said);
	memset(unknown, 'x', sizeof unknown);
	counts = steering_read(&said, layout, copy, len, unknown);
	free(copy);
}

static void read_text(const struct cid_layout *layout, const char *text)
{
	read_octets(layout, text, strlen(text));
}

/* What one-octet ids make of an answer. `ids`: an octet each, 0 ends. */
static const struct {
	const char *text;
	bool down;
	enum backend_admin admin;
	uint8_t percent;
	const char *ids, *unknown;
} answers[] = {
	{ "", false, BACKEND_READY, 100, "", "" },
	{ "up", false, BACKEND_READY, 100, "", "" },
	{ "down", true, BACKEND_READY, 100, "", "" },
	{ "fail", true, BACKEND_READY, 100, "", "" },
	{ "stopped", true, BACKEND_READY, 100, "", "" },
	{ "ready", false, BACKEND_READY, 100, "", "" },
	{ "drain", false, BACKEND_DRAIN, 100, "", "" },
	{ "maint", false, BACKEND_MAINT, 100, "", "" },
	{ "75%", false, BACKEND_READY, 75, "", "" },
	{ "0%", false, BACKEND_READY, 0, "", "" },
	{ "100%", false, BACKEND_READY, 100, "", "" },
	{ "007%", false, BACKEND_READY, 7, "", "" },
	{ "101%", false, BACKEND_READY, 100, "", "101%" },
	{ "150%", false, BACKEND_READY, 100, "", "150%" },
	{ "-1%", false, BACKEND_READY, 100, "", "-1%" },
	{ "7.5%", false, BACKEND_READY, 100, "", "7.5%" },
	{ "18446744073709551617%", false, BACKEND_READY, 100, "", "18446744073709551617%" }, /* 2^64 + 1 */
	{ "%", false, BACKEND_READY, 100, "", "%" },
	{ "75", false, BACKEND_READY, 100, "", "75" },
	{ "75%%", false, BACKEND_READY, 100, "", "75%%" },
	{ "id:9", false, BACKEND_READY, 100, "\x09", "" },
	{ "id:0xed", false, BACKEND_READY, 100, "\xed", "" },
	{ "id:255", false, BACKEND_READY, 100, "\xff", "" },
	{ "id:256", false, BACKEND_READY, 100, "", "id:256" },
	{ "id:", false, BACKEND_READY, 100, "", "id:" },
	{ "id", false, BACKEND_READY, 100, "", "id" },
	{ "id:0x", false, BACKEND_READY, 100, "", "id:0x" },
	{ "id:0x9", false, BACKEND_READY, 100, "", "id:0x9" },
	{ "id:0x0009", false, BACKEND_READY, 100, "", "id:0x0009" },
	{ "id:0xeg", false, BACKEND_READY, 100, "", "id:0xeg" },
	{ "id:ed", false, BACKEND_READY, 100, "", "id:ed" },
	{ "id:-1", false, BACKEND_READY, 100, "", "id:-1" },
	{ "id:1 id:0x01 id:001", false, BACKEND_READY, 100, "\x01", "" },
	{ "id:2 id:1", false, BACKEND_READY, 100, "\x02\x01", "" },
	{ "UP Drain ID:0XeD 5%", false, BACKEND_DRAIN, 5, "\xed", "" },
	{ "up,drain\t50%,,id:7 ,\tid:8", false, BACKEND_DRAIN, 50, "\x07\x08", "" },
	{ " \t, up", false, BACKEND_READY, 100, "", "" },
	{ "down up", true, BACKEND_READY, 100, "", "" },
	{ "up down up", true, BACKEND_READY, 100, "", "" },
	{ "maint drain ready", false, BACKEND_MAINT, 100, "", "" },
	{ "ready drain maint", false, BACKEND_MAINT, 100, "", "" },
	{ "20% 30% 10% 40%", false, BACKEND_READY, 10, "", "" },
	{ "0% 150%", false, BACKEND_READY, 0, "", "150%" },
	{ "drain\ndown", false, BACKEND_DRAIN, 100, "", "" },
	{ "drain\rdown", false, BACKEND_DRAIN, 100, "", "" },
	{ "\ndown", false, BACKEND_READY, 100, "", "" },
	{ "down#drain 5%", true, BACKEND_READY, 100, "", "" },
	{ "up # down", false, BACKEND_READY, 100, "", "" },
	{ "up maxconn:30 75%", false, BACKEND_READY, 75, "", "maxconn:30" },
	{ "drain id:256 5%", false, BACKEND_DRAIN, 5, "", "id:256" },
	{ "maint # last maint 2026", false, BACKEND_MAINT, 100, "", "" },
	{ "maint\nlast maint 2026", false, BACKEND_MAINT, 100, "", "" },
	{ "upp", false, BACKEND_READY, 100, "", "upp" },
	{ "u", false, BACKEND_READY, 100, "", "u" },
	{ "maint;drain", false, BACKEND_READY, 100, "", "maint;drain" },
	{ "{ down drain", false, BACKEND_READY, 100, "", "" },
	{ "[ down", false, BACKEND_READY, 100, "", "" },
	{ "</time>;obs, down", false, BACKEND_READY, 100, "", "" },
	{ "  { down", false, BACKEND_READY, 100, "", "" },
};

/* Lines of prose. Nothing in them counts, wherever the word stands that tells. */
static const struct {
	const char *text, *word;
} prose[] = {
	{ "last maint 2026", "last" },
	{ "maint last 2026", "last" },
	{ "id:9 drain 50% down since Monday", "since" },
	{ "150% drain tomorrow", "tomorrow" },
	{ "hello world drain", "hello" },
	{ "Service is down", "Service" },
	{ "OK", "OK" },
	{ "up, ready.", "ready." },
	{ "75 drain", "75" },
	{ "7.5% drain", "7.5%" },
	{ "-1% drain", "-1%" },
	{ "% drain", "%" },
	{ "75%% drain", "75%%" },
	{ "id drain", "id" },
	{ "maxconn:all drain", "maxconn:all" },
	{ "maxconn: drain", "maxconn:" },
	{ "drain {down", "{down" },
	{ "caf\xc3\xa9\x01 down", "caf???" },
};

START_TEST(answer)
{
	read_text(&node_id, answers[_i].text);
	ck_assert_msg(said.down == answers[_i].down, "%s", answers[_i].text);
	ck_assert_msg(said.admin == answers[_i].admin, "%s", answers[_i].text);
	ck_assert_msg(said.percent == answers[_i].percent, "%s", answers[_i].text);
	ck_assert_msg(said.id_count == strlen(answers[_i].ids), "%s", answers[_i].text);
	for (size_t i = 0; i < said.id_count; i++) {
		ck_assert_uint_eq(said.ids[i].len, 1);
		ck_assert_uint_eq(said.ids[i].octets[0], (uint8_t)answers[_i].ids[i]);
	}
	ck_assert_str_eq(unknown, answers[_i].unknown);
}
END_TEST

START_TEST(prose_says_nothing)
{
	read_text(&node_id, prose[_i].text);
	ck_assert_msg(!counts && !said.down && said.admin == BACKEND_READY && said.percent == 100 && said.id_count == 0,
		      "%s", prose[_i].text);
	ck_assert_str_eq(unknown, prose[_i].word);
}
END_TEST

START_TEST(ids_of_other_sizes)
{
	static const uint8_t fifteen[] = { 0,    0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
					   0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee };

	read_text(&long_id, "id:0xed793a id:9 id:16777215 id:16777216");
	ck_assert_uint_eq(said.id_count, 3);
	ck_assert_mem_eq(said.ids[0].octets, "\xed\x79\x3a", 3);
	ck_assert_mem_eq(said.ids[1].octets, "\0\0\x09", 3);
	ck_assert_mem_eq(said.ids[2].octets, "\xff\xff\xff", 3);
	ck_assert_str_eq(unknown, "id:16777216");
	read_text(&huge_id, "id:0x00112233445566778899aabbccddee");
	ck_assert_uint_eq(said.id_count, 1);
	ck_assert_mem_eq(said.ids[0].octets, fifteen, 15);
	read_text(&huge_id, "id:0x00112233445566778899aabbccddeeff");
	ck_assert_uint_eq(said.id_count, 0);
	ck_assert_str_eq(unknown, "id:0x00112233445566778899aab...");
	read_text(&eight_octets, "id:18446744073709551615 id:18446744073709551616");
	ck_assert_uint_eq(said.id_count, 1);
	ck_assert_mem_eq(said.ids[0].octets, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	ck_assert_str_eq(unknown, "id:18446744073709551616");
}
END_TEST

START_TEST(a_layout_without_ids_has_no_claims)
{
	read_text(&no_ids, "id:9 drain");
	ck_assert_uint_eq(said.id_count, 0);
	ck_assert_int_eq(said.admin, BACKEND_DRAIN);
	ck_assert_str_eq(unknown, "id:9");
}
END_TEST

START_TEST(ids_beyond_the_last_are_skipped)
{
	char text[(STEERING_IDS + 2) * 8];
	size_t len = 0;

	for (unsigned i = 0; i < STEERING_IDS; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "id:%u ", 100 + i);
	read_text(&node_id, text);
	ck_assert_uint_eq(said.id_count, STEERING_IDS);
	ck_assert_str_eq(unknown, "");
	snprintf(text + len, sizeof text - len, "id:100 id:200");
	read_text(&node_id, text);
	ck_assert_uint_eq(said.id_count, STEERING_IDS);
	ck_assert_uint_eq(said.ids[STEERING_IDS - 1].octets[0], 100 + STEERING_IDS - 1);
	ck_assert_str_eq(unknown, "id:200");
}
END_TEST

START_TEST(octets_that_are_no_text)
{
	read_octets(&node_id, "up\0", 3);
	ck_assert_str_eq(unknown, "up?");
	read_octets(&node_id, "id:0xed\0ab", 10);
	ck_assert_uint_eq(said.id_count, 0);
	ck_assert_str_eq(unknown, "id:0xed?ab");
	read_octets(&node_id, "\0drain", 6);
	ck_assert_int_eq(said.admin, BACKEND_READY);
	ck_assert(!counts);
	ck_assert_str_eq(unknown, "?drain");
}
END_TEST

START_TEST(a_long_word_is_shortened)
{
	read_text(&node_id, "abcdefghijklmnopqrstuvwxyz01234");
	ck_assert_str_eq(unknown, "abcdefghijklmnopqrstuvwxyz01234");
	read_text(&node_id, "abcdefghijklmnopqrstuvwxyz012345 down");
	ck_assert_str_eq(unknown, "abcdefghijklmnopqrstuvwxyz01...");
	ck_assert(!said.down);
}
END_TEST

START_TEST(nothing_said)
{
	ck_assert(!steering_none.down);
	ck_assert_int_eq(steering_none.admin, BACKEND_READY);
	ck_assert_uint_eq(steering_none.percent, 100);
	ck_assert_uint_eq(steering_none.id_count, 0);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, answer, 0, sizeof answers / sizeof *answers);
	tcase_add_loop_test(tests, prose_says_nothing, 0, sizeof prose / sizeof *prose);
	tcase_add_test(tests, ids_of_other_sizes);
	tcase_add_test(tests, a_layout_without_ids_has_no_claims);
	tcase_add_test(tests, ids_beyond_the_last_are_skipped);
	tcase_add_test(tests, octets_that_are_no_text);
	tcase_add_test(tests, a_long_word_is_shortened);
	tcase_add_test(tests, nothing_said);
}
