/* cidlbctl route: what it finds in a datagram, and what it says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "ctl/explain.h"
#include "ctl/route.h"
#include "tests/fixtures/resume_texts.h"
#include "tests/unit/suite.h"

/* Last handshake flight of Mbed TLS: ClientKeyExchange at 0, ChangeCipherSpec at 32, Finished with CID 0720b1d07b359d3c
 * at 46. */
static const char flight_5[] =
	"16fefd0000000000000002001310000007000200000000000700056465762d31"
	"14fefd0000000000000003000101"
	"19fefd00010000000000000720b1d07b359d3c0030"
	"0001000000000000070b8950f571e1f4de342dc91e1bdf58f927b8d5369952d095f7f638aac6a46c47c317a299930fef";
static const char client_hello[] =
	"16fefd0000000000000000005d010000510000000000000051fefd6b02c931da6fb8ae951071f14f33a687c2cb1ca5700ee11124708da0"
	"292a981c00000004c0a800ff01000023000d000e000c0603060105030501040304010036000100001600000017000000230000";
static const struct conf_listener listener = { .name = (char *)"coaps" };
static const struct snapshot_backend backends[] = {
	{ .name = "a", .uid = 0, .weight = 100, .addr = { .ip = { [15] = 1 }, .port = 6001 } },
	{ .name = "b", .uid = 1, .weight = 100, .addr = { .ip = { [15] = 1 }, .port = 6002 } },
};
static const struct snapshot_id ids[] = { { { 1, { 7 } }, 0 }, { { 1, { 8 } }, 1 } };
static struct snapshot *snapshot;
static struct explanation explanation;
static uint8_t data[256];
static char *text;
static size_t text_len;

static void setup(void)
{
	const struct siphash_key key = { 1, 2 };
	const struct snapshot_pool_spec pool = {
		.name = "lwm2m",
		.layout = { .scheme = CID_LAYOUT_ID, .lbcid = { .length = 8, .size = 1 }, .length = 8 },
		.backends = backends,
		.backend_count = 2,
		.ids = ids,
		.id_count = 2,
	};

	snapshot = snapshot_build(&key, &pool, 1, NULL);
	ck_assert_ptr_nonnull(snapshot);
	text = NULL;
}

static void teardown(void)
{
	snapshot_free(snapshot);
	free(text);
}

static void explain(const char *hex, const char *from)
{
	struct addr source;
	size_t len = strlen(hex) / 2;

	for (size_t i = 0; i < len; i++)
		sscanf(hex + 2 * i, "%2hhx", &data[i]);
	if (from)
		ck_assert_int_eq(addr_parse(&source, from), 0);
	explain_make(&explanation, &(struct explain_question){ .listener = &listener,
							       .pool = &snapshot->pools[0],
							       .data = data,
							       .len = len,
							       .source = from ? &source : NULL,
							       .learns_sessions = true });
}

static void print(void)
{
	FILE *out = open_memstream(&text, &text_len);

	explain_print_text(&explanation, out);
	fclose(out);
}

static json_t *print_json(void)
{
	FILE *out = open_memstream(&text, &text_len);

	ck_assert_int_eq(explain_print_json(&explanation, out), 0);
	fclose(out);
	json_t *root = json_loads(text, 0, NULL);
	ck_assert_ptr_nonnull(root);
	return root;
}

/* Who can resume what a ClientHello offers, only the running cidlb knows. */
START_TEST(test_offer)
{
	static const char id[] = "000102030405060708090a0b0c0d0e0f";

	explain(client_hello_text(&(struct offer_text){ 0, 1, "", "", "" }), "192.0.2.7:4000");
	ck_assert(!explanation.resumes);
	explain(client_hello_text(&(struct offer_text){ 0, 1, id, "", "" }), "192.0.2.7:4000");
	ck_assert(explanation.resumes);
	ck_assert_int_eq(explanation.out.verdict, VERDICT_HASH);
	print();
	ck_assert_ptr_nonnull(strstr(text, "session   it offers to resume one: "));
	free(text);
	json_t *root = print_json();
	ck_assert(json_is_true(json_object_get(root, "offers_to_resume")));
	json_decref(root);
	explain(flight_5, NULL);
	ck_assert(!explanation.resumes);
}
END_TEST

START_TEST(test_flight)
{
	explain(flight_5, NULL);
	ck_assert_uint_eq(explanation.record_count, 3);
	ck_assert_uint_eq(explanation.records[1].at, 32);
	ck_assert_uint_eq(explanation.records[2].at, 46);
	ck_assert_int_eq(explanation.out.verdict, VERDICT_CID);
	print();
	ck_assert_str_eq(text, "datagram  115 octets for listener coaps, pool lwm2m (dtls)\n"
			       "record    at 0: handshake (22), epoch 0, number 2, 32 octets\n"
			       "record    at 32: change_cipher_spec (20), epoch 0, number 3, 14 octets\n"
			       "record    at 46: tls12_cid (25), epoch 1, number 0, 69 octets\n"
			       "walk      the CID decides, if what stands behind it belongs to its session\n"
			       "cid       0720b1d07b359d3c: server id 07, of backend a\n"
			       "verdict   cid: to the backend that the CID names\n"
			       "backend   a at [::1]:6001\n");
}
END_TEST

/* The pool says 6, the records say 8. */
START_TEST(test_wrong_length)
{
	snapshot->pools[0].layout.length = snapshot->pools[0].layout.lbcid.length = 6;
	explain(flight_5, NULL);
	ck_assert_int_eq(explanation.out.verdict, VERDICT_UNKNOWN_CID);
	print();
	ck_assert_ptr_nonnull(strstr(
		text, "\ncid       0720b1d07b35...: cid.length 6 does not fit this record; lengths that would: 8\n"));
	ck_assert_ptr_null(strstr(text, "\nbackend"));
}
END_TEST

START_TEST(test_unknown_id)
{
	char hex[sizeof flight_5];

	strcpy(hex, flight_5);
	memcpy(strstr(hex, "0720b1"), "66", 2);
	explain(hex, NULL);
	print();
	ck_assert_ptr_nonnull(strstr(text, "\ncid       6620b1d07b359d3c: server id 66, which no backend has\n"));
	ck_assert_ptr_nonnull(strstr(text, "\nverdict   unknown_cid: "));
}
END_TEST

START_TEST(test_address_decision)
{
	explain(client_hello, "192.0.2.1:40000");
	ck_assert_int_eq(explanation.out.verdict, VERDICT_HASH);
	ck_assert_uint_lt(explanation.slot, RENDEZVOUS_SLOTS);
	ck_assert_uint_eq(explanation.ranked[0], explanation.out.backend);
	ck_assert_uint_eq(explanation.ranked[1], 1 - explanation.out.backend);
	ck_assert_uint_eq(explanation.ranked[2], RENDEZVOUS_NONE);
}
END_TEST

START_TEST(test_address_decision_without_address)
{
	explain(client_hello, NULL);
	print();
	ck_assert_ptr_nonnull(strstr(text, "\nbackend   depends on the device's address: --from IP:PORT\n"));
	ck_assert_ptr_null(strstr(text, "\nslot"));
}
END_TEST

START_TEST(test_json)
{
	const char *verdict, *name, *address, *id;
	json_int_t at, length;

	explain(flight_5, NULL);
	json_t *root = print_json();
	ck_assert_int_eq(json_unpack(root, "{s:s, s:{s:s, s:s}, s:{s:s, s:[I]}, s:[o, o, {s:I}]}", "verdict", &verdict,
				     "backend", "name", &name, "address", &address, "cid", "server_id", &id,
				     "lengths_that_fit", &length, "records", &(json_t *){ NULL }, &(json_t *){ NULL },
				     "at", &at),
			 0);
	ck_assert_str_eq(verdict, "cid");
	ck_assert_str_eq(name, "a");
	ck_assert_str_eq(address, "[::1]:6001");
	ck_assert_str_eq(id, "07");
	ck_assert_int_eq(length, 8);
	ck_assert_int_eq(at, 46);
	json_decref(root);
}
END_TEST

/* A DTLS 1.3 record with a length field, and rubbish behind it; then each prefix of a flight: the listing ends where
 * the walk does. */
START_TEST(test_listing_ends_with_the_walk)
{
	explain("2d00010010000000000000000000000000000000007f", NULL);
	ck_assert_uint_eq(explanation.record_count, 2);
	ck_assert_uint_eq(explanation.records[0].octets, 21);
	ck_assert_uint_eq(explanation.records[1].at, 21);
	ck_assert_int_eq(explanation.out.verdict, VERDICT_TYPE);

	for (size_t len = 0; len < 115; len++) {
		char hex[sizeof flight_5] = "";
		memcpy(hex, flight_5, 2 * len);
		explain(hex, NULL);
		ck_assert_uint_eq(explanation.record_count, len == 0 ? 0 : len <= 32 ? 1 : len <= 46 ? 2 : 3);
	}
}
END_TEST

/* What stands behind a CID is listed, too. */
START_TEST(test_mixed)
{
	char hex[sizeof flight_5 + 64];

	snprintf(hex, sizeof hex, "%s15fefd000000000000000700020228", flight_5);
	explain(hex, NULL);
	ck_assert_int_eq(explanation.out.verdict, VERDICT_MIXED);
	print();
	ck_assert_ptr_nonnull(strstr(text, "\nrecord    at 115: alert (21), epoch 0, number 7, 15 octets\n"));
	ck_assert_ptr_nonnull(
		strstr(text, "\ncid       0720b1d07b359d3c: behind its record stands what is not of its session\n"));
	ck_assert_ptr_nonnull(strstr(text, "\nverdict   mixed: dropped: "));
	ck_assert_ptr_null(strstr(text, "\nbackend"));
}
END_TEST

START_TEST(test_bad_source)
{
	explain(flight_5, "224.0.0.1:5684");
	ck_assert_int_eq(explanation.out.verdict, VERDICT_BAD_SOURCE);
	print();
	ck_assert_ptr_nonnull(strstr(text, "\nverdict   bad_source: dropped: "));
}
END_TEST

static enum ctl_exit run(const char *hex, const char *file, const char *listener_name, const char *from)
{
	struct ctl_options options = { .file = file, .listener = listener_name, .from = from };

	char *words[] = { "route", (char *)(uintptr_t)hex, NULL };

	return route_run(words, &options);
}

START_TEST(test_exit_status)
{
	static const char conf[] =
		"user = \"nobody\"; hash_key = \"000102030405060708090a0b0c0d0e0f\";\n"
		"listeners = ( { name = \"x\"; address = \"127.0.0.1:5684\"; pool = \"p\"; },\n"
		"              { name = \"y\"; address = \"127.0.0.1:5685\"; pool = \"p\"; } );\n"
		"pools = ( { name = \"p\"; cid = { scheme = \"node-id\"; length = 8; };\n"
		"            backends = ( { name = \"a\"; id = 7; address = \"127.0.0.1:6001\"; } ); } );\n";
	char file[] = "/tmp/check_explain.XXXXXX";
	int fd = mkstemp(file);

	ck_assert_int_eq(fchmod(fd, 0600), 0);
	ck_assert_int_eq(write(fd, conf, sizeof conf - 1), sizeof conf - 1);
	close(fd);
	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stdout));
	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
	ck_assert_int_eq(run(flight_5, file, "x", NULL), CTL_OK);
	ck_assert_int_eq(run(" 16:FE fd\n", file, "y", NULL), CTL_OK);
	ck_assert_int_eq(run(flight_5, file, NULL, NULL), CTL_REFUSED);
	ck_assert_int_eq(run(flight_5, file, "z", NULL), CTL_REFUSED);
	ck_assert_int_eq(run("16f", file, "x", NULL), CTL_REFUSED);
	ck_assert_int_eq(run("16fg", file, "x", NULL), CTL_REFUSED);
	ck_assert_int_eq(run(flight_5, file, "x", "192.0.2.1"), CTL_USAGE);
	unlink(file);
	ck_assert_int_eq(run(flight_5, file, "x", NULL), CTL_REFUSED);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_offer);
	tcase_add_test(tests, test_flight);
	tcase_add_test(tests, test_mixed);
	tcase_add_test(tests, test_bad_source);
	tcase_add_test(tests, test_wrong_length);
	tcase_add_test(tests, test_unknown_id);
	tcase_add_test(tests, test_address_decision);
	tcase_add_test(tests, test_address_decision_without_address);
	tcase_add_test(tests, test_json);
	tcase_add_test(tests, test_listing_ends_with_the_walk);
	tcase_add_test(tests, test_exit_status);
}
