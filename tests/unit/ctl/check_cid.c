/* cidlbctl cid: what it mints and says. */
#include <jansson.h>

#include "ctl/cid.h"
#include "tests/fixtures/conf_fixture.h"
#include "tests/unit/suite.h"

static const char text[] =
	"hash_key = \"000102030405060708090a0b0c0d0e0f\"; user = \"nobody\";\n"
	"listeners = ( { name = \"q\"; address = \"127.0.0.1:1\"; pool = \"quic\"; }, { name = \"n\"; address = "
	"\"127.0.0.1:2\"; pool = "
	"\"node\"; "
	"},\n"
	"  { name = \"u\"; address = \"127.0.0.1:3\"; pool = \"plain\"; } );\n"
	"pools = ( { name = \"quic\"; cid = { scheme = \"quic-lb\"; configs = (\n"
	"    { rotation = 0; server_id_length = 3; nonce_length = 4; key = \"8f95f09245765f80256934e50c66207f\"; },\n"
	"    { rotation = 6; server_id_length = 3; nonce_length = 13; } ); };\n"
	"    backends = ( { name = \"a\"; id = \"ed793a\"; address = \"127.0.0.1:6001\"; } ); },\n"
	"  { name = \"node\"; cid = { scheme = \"node-id\"; length = 6; };\n"
	"    backends = ( { name = \"a\"; id = 1; address = \"127.0.0.1:6001\"; }, { name = \"2\"; id = 9; address = "
	"\"127.0.0.1:6002\"; } "
	"); },\n"
	"  { name = \"plain\"; protocol = \"udp\"; backends = ( { name = \"a\"; address = \"127.0.0.1:6001\"; } ); } "
	");\n";

static struct conf *conf;
static FILE *out;
static char *said;
static size_t said_len;

static void setup(void)
{
	struct conf_report report = { 0 };

	conf = parse_text("t.conf", text, &report);
	ck_assert_str_eq(join_lines(report.errors, report.error_count), "");
	conf_report_free(&report);
	out = open_memstream(&said, &said_len);
	ck_assert_ptr_nonnull(out);
}

static void teardown(void)
{
	fclose(out);
	free(said);
	conf_free(conf);
}

static const struct {
	const char *pool, *of, *rotation;
	enum ctl_exit status;
	const char *begins; /* of the CID */
	size_t octets;
	const char *id;
} mints[] = {
	{ "quic", "a", NULL, CTL_OK, "07", 8, "ed793a" },
	{ "quic", "0xED793A", NULL, CTL_OK, "07", 8, "ed793a" },
	{ "quic", "a", "6", CTL_OK, "d0ed793a", 17, "ed793a" },
	{ "quic", "258", "6", CTL_OK, "d0000102", 17, "000102" },
	{ "quic", "16777216", NULL, CTL_REFUSED, "", 0, "" },
	{ "quic", "0xed79", NULL, CTL_REFUSED, "", 0, "" },
	{ "quic", "ed793a", NULL, CTL_REFUSED, "", 0, "" },
	{ "quic", "-1", NULL, CTL_REFUSED, "", 0, "" },
	{ "quic", "", NULL, CTL_REFUSED, "", 0, "" },
	{ "quic", "a", "1", CTL_REFUSED, "", 0, "" },
	{ "quic", "a", "7", CTL_REFUSED, "", 0, "" },
	{ "quic", "a", "x", CTL_REFUSED, "", 0, "" },
	{ "node", "a", NULL, CTL_OK, "01", 6, "01" },
	{ "node", "2", NULL, CTL_OK, "09", 6, "09" }, /* a name first */
	{ "node", "3", NULL, CTL_OK, "03", 6, "03" },
	{ "node", "a", "0", CTL_REFUSED, "", 0, "" },
	{ "plain", "a", NULL, CTL_REFUSED, "", 0, "" },
	{ "other", "a", NULL, CTL_REFUSED, "", 0, "" },
};

/* What was minted begins as it should, and opens to the id. */
START_TEST(minted)
{
	struct ctl_options options = { .rotation = mints[_i].rotation, .pool = mints[_i].pool, .json = true };
	json_t *answer;

	ck_assert_int_eq(cid_mint(conf, mints[_i].pool, mints[_i].of,
				  &(struct ctl_options){ .rotation = mints[_i].rotation }, out),
			 mints[_i].status);
	fflush(out);
	ck_assert_uint_eq(said_len, mints[_i].octets ? 2 * mints[_i].octets + 1 : 0);
	if (mints[_i].status != CTL_OK)
		return;
	ck_assert_int_eq(strncmp(said, mints[_i].begins, strlen(mints[_i].begins)), 0);
	char *cid = strndup(said, said_len - 1);
	rewind(out);
	(void)cid_explain(conf, cid, &options, out);
	fflush(out);
	answer = json_loads(said, JSON_DISABLE_EOF_CHECK, NULL);
	ck_assert_str_eq(json_string_value(json_object_get(answer, "cid")), cid);
	ck_assert_str_eq(json_string_value(json_object_get(answer, "server_id")), mints[_i].id);
	json_decref(answer);
	free(cid);
}
END_TEST

START_TEST(mint_many_as_json)
{
	const struct ctl_options options = { .count = "1000", .json = true };

	ck_assert_int_eq(cid_mint(conf, "quic", "a", &options, out), CTL_OK);
	fflush(out);
	json_t *answer = json_loads(said, 0, NULL), *cids = json_object_get(answer, "cids");
	ck_assert_uint_eq(json_array_size(cids), 1000);
	ck_assert_str_ne(json_string_value(json_array_get(cids, 0)), json_string_value(json_array_get(cids, 999)));
	ck_assert_str_eq(json_string_value(json_object_get(answer, "backend")), "a");
	ck_assert_str_eq(json_string_value(json_object_get(answer, "server_id")), "ed793a");
	ck_assert_int_eq(json_integer_value(json_object_get(answer, "rotation")), 0);
	ck_assert(json_is_true(json_object_get(answer, "encrypted")));
	json_decref(answer);
}
END_TEST

static const char *const bad_counts[] = { "0", "1001", "-1", "1x", "", "18446744073709551617" };

START_TEST(bad_count)
{
	ck_assert_int_eq(cid_mint(conf, "quic", "a", &(struct ctl_options){ .count = bad_counts[_i] }, out), CTL_USAGE);
}
END_TEST

static const struct {
	const char *pool, *hex;
	enum ctl_exit status;
	const char *says;
} opens[] = {
	{ "quic", "0720b1d07b359d3c", CTL_OK,
	  "pool      quic\nconfig    rotation 0, encrypted\nid        ed793a\nbackend   a\n" },
	{ "quic", "07:20:B1:D0 7b:35:9d:3c", CTL_OK,
	  "pool      quic\nconfig    rotation 0, encrypted\nid        ed793a\nbackend   a\n" },
	{ "quic", "0720b1d07b359d3d", CTL_REFUSED,
	  "pool      quic\nconfig    rotation 0, encrypted\nid        13230a\nbackend   none: no backend has this "
	  "id\n" },
	{ "quic", "0720b1d07b359d", CTL_REFUSED,
	  "pool      quic\nconfig    rotation 0, encrypted\nbackend   none: 7 octets; those of rotation 0 have 8\n" },
	{ "quic", "2720b1d07b359d3c", CTL_REFUSED, "pool      quic\nbackend   none: no config has rotation 1\n" },
	{ "quic", "e720b1d07b359d3c", CTL_REFUSED, "pool      quic\nbackend   none: no config has rotation 7\n" },
	{ "quic", "c0ed793a0000000000000000000000000", CTL_USAGE, "" },
	{ "quic", "c0ed793a00000000000000000000000000", CTL_OK,
	  "pool      quic\nconfig    rotation 6, not encrypted\nid        ed793a\nbackend   a\n" },
	{ "node", "090000000000", CTL_OK, "pool      node\nid        09\nbackend   2\n" },
	{ "node", "09", CTL_REFUSED, "pool      node\nbackend   none: 1 octet; cid.length is 6\n" },
	{ "node", "0900000000", CTL_REFUSED, "pool      node\nbackend   none: 5 octets; cid.length is 6\n" },
	{ "node", "", CTL_USAGE, "" },
	{ "node", "0", CTL_USAGE, "" },
	{ "node", "0g", CTL_USAGE, "" },
	{ "node", "000000000000000000000000000000000000000000", CTL_USAGE, "" },
	{ "plain", "00", CTL_REFUSED, "" },
	{ NULL, "00", CTL_REFUSED, "" }, /* several pools to choose from */
};

START_TEST(opened)
{
	ck_assert_int_eq(cid_explain(conf, opens[_i].hex, &(struct ctl_options){ .pool = opens[_i].pool }, out),
			 opens[_i].status);
	fflush(out);
	ck_assert_str_eq(said, opens[_i].says);
}
END_TEST

START_TEST(only_pool_with_ids)
{
	conf->pools[1].layout = (struct cid_layout){ .scheme = CID_LAYOUT_HASH, .length = 6 };
	ck_assert_int_eq(cid_explain(conf, "0720b1d07b359d3c", &(struct ctl_options){ 0 }, out), CTL_OK);
}
END_TEST

START_TEST(why_not_as_json)
{
	ck_assert_int_eq(
		cid_explain(conf, "0720b1d07b359d3d", &(struct ctl_options){ .pool = "quic", .json = true }, out),
		CTL_REFUSED);
	fflush(out);
	json_t *answer = json_loads(said, 0, NULL);
	ck_assert(json_is_null(json_object_get(answer, "backend")));
	ck_assert_str_eq(json_string_value(json_object_get(answer, "why")), "no backend has this id");
	json_decref(answer);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, minted, 0, COUNT_OF(mints));
	tcase_add_test(tests, mint_many_as_json);
	tcase_add_loop_test(tests, bad_count, 0, COUNT_OF(bad_counts));
	tcase_add_loop_test(tests, opened, 0, COUNT_OF(opens));
	tcase_add_test(tests, only_pool_with_ids);
	tcase_add_test(tests, why_not_as_json);
}
