/* What is kept over a restart, and for how long. */
#include <errno.h>

#include "tests/fixtures/saved_fixture.h"
#include "tests/unit/suite.h"

START_TEST(test_outlives_a_restart)
{
	struct conf_backend b = backend_b();
	enum backend_admin admin;
	uint16_t weight;
	struct stat there;

	set("p", &b, BACKEND_DRAIN, 30);
	ck_assert_str_eq(text_of(file), drained);
	ck_assert_int_eq(stat(file, &there), 0);
	ck_assert_uint_eq(there.st_mode & 07777, 0644);
	struct saved *saved = saved_new(file);
	ck_assert(saved_get(saved, "p", &b, &admin, &weight));
	ck_assert_int_eq(admin, BACKEND_DRAIN);
	ck_assert_uint_eq(weight, 30);
	/* The same as in the entry, so nothing is kept. */
	ck_assert_int_eq(saved_set(saved, "p", &b, BACKEND_READY, 100), 0);
	ck_assert_int_eq(admin_of(saved, "p", &b), -1);
	ck_assert_str_eq(text_of(file), empty);
	saved_free(saved);
	ck_assert_str_eq(text_of(said_file), "");
}
END_TEST

START_TEST(test_names_are_not_confused)
{
	struct conf_backend b = backend_b(), odd = backend_make("b/c\". {", "127.0.0.1:6002");

	set("p", &b, BACKEND_DRAIN, 100);
	set("p/b", &odd, BACKEND_MAINT, 100);
	struct saved *saved = saved_new(file);
	ck_assert_int_eq(admin_of(saved, "p", &b), BACKEND_DRAIN);
	ck_assert_int_eq(admin_of(saved, "p/b", &odd), BACKEND_MAINT);
	ck_assert_int_eq(admin_of(saved, "p/b", &b), -1);
	ck_assert_int_eq(admin_of(saved, "p", &odd), -1);
	saved_free(saved);
}
END_TEST

START_TEST(test_void_where_the_entry_changed)
{
	const struct conf_backend b = backend_b();
	struct conf_backend ids = b, no_id = b, longer = b, weight = b, state = b, port = b, host = b;

	set("p", &b, BACKEND_MAINT, 100);
	struct saved *saved = saved_new(file);
	ids.id.octets[0] = 3;
	no_id.has_id = false;
	longer.id.len = 2;
	weight.weight = 99;
	state.admin = BACKEND_DRAIN;
	port.addr.port = 6003;
	host.host = "127.0.0.1.";
	ck_assert_int_eq(admin_of(saved, "p", &b), BACKEND_MAINT);
	ck_assert_int_eq(admin_of(saved, "p", &ids), -1);
	ck_assert_int_eq(admin_of(saved, "p", &no_id), -1);
	ck_assert_int_eq(admin_of(saved, "p", &longer), -1);
	ck_assert_int_eq(admin_of(saved, "p", &weight), -1);
	ck_assert_int_eq(admin_of(saved, "p", &state), -1);
	ck_assert_int_eq(admin_of(saved, "p", &port), -1);
	ck_assert_int_eq(admin_of(saved, "p", &host), -1);
	saved_free(saved);
}
END_TEST

START_TEST(test_left)
{
	struct saved *saved = saved_new(file);

	ck_assert(!saved_left(saved));
	ck_assert_int_eq(saved_set_left(saved, true), 0);
	ck_assert_ptr_nonnull(strstr(text_of(file), "\"left\": true"));
	saved_free(saved);
	saved = saved_new(file);
	ck_assert(saved_left(saved));
	ck_assert_int_eq(saved_set_left(saved, false), 0);
	ck_assert_ptr_null(strstr(text_of(file), "left"));
	saved_free(saved);
	/* Where nothing is kept it holds until the end. */
	saved = saved_new(NULL);
	ck_assert_int_eq(saved_set_left(saved, true), 0);
	ck_assert(saved_left(saved));
	saved_free(saved);
}
END_TEST

START_TEST(test_a_named_backend)
{
	struct conf_backend b = { .name = "b", .host = "lwm2m-0.lwm2m", .addr.port = 5684, .weight = 100 };

	set("p", &b, BACKEND_DRAIN, 100);
	ck_assert_ptr_nonnull(strstr(text_of(file), "\"address\": \"lwm2m-0.lwm2m:5684\""));
	struct saved *saved = saved_new(file);
	ck_assert_int_eq(admin_of(saved, "p", &b), BACKEND_DRAIN);
	saved_free(saved);
}
END_TEST

static const struct resolve_name h_v4 = { "h", false }, h_v6 = { "h", true }, capital_v6 = { "H", true },
				 old_v4 = { "old", false };

START_TEST(test_addresses)
{
	static const char kept[] = "{\n  \"addresses\": {\n    \"h\": {\n      \"v4\": \"192.0.2.1\",\n      \"v6\": "
				   "\"2001:db8::1\"\n    }\n  },\n"
				   "  \"backends\": {},\n  \"ids\": {},\n  \"version\": 1\n}";
	static const uint8_t v4[16] = { [10] = 0xff, 0xff, 192, 0, 2, 1 },
			     v6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
	struct saved *saved = saved_new(file);
	uint8_t ip[16];

	ck_assert(!saved_address(saved, &h_v4, ip));
	ck_assert_int_eq(saved_set_address(saved, &h_v4, v4), 0);
	ck_assert_int_eq(saved_set_address(saved, &h_v6, v6), 0);
	ck_assert_int_eq(saved_set_address(saved, &h_v6, v4), -EINVAL);
	ck_assert_int_eq(access(file, F_OK), -1);
	ck_assert_int_eq(saved_save(saved), 0);
	ck_assert_str_eq(text_of(file), kept);
	/* Nothing is new, so nothing is written. */
	ck_assert_int_eq(unlink(file), 0);
	ck_assert_int_eq(saved_set_address(saved, &h_v4, v4), 0);
	ck_assert_int_eq(saved_save(saved), 0);
	ck_assert_int_eq(access(file, F_OK), -1);
	saved_free(saved);

	write_text(kept);
	saved = saved_new(file);
	ck_assert(saved_address(saved, &h_v4, ip));
	ck_assert_mem_eq(ip, v4, 16);
	ck_assert(saved_address(saved, &h_v6, ip));
	ck_assert_mem_eq(ip, v6, 16);
	ck_assert(!saved_address(saved, &capital_v6, ip));
	saved_free(saved);
	/* Not written by a resolver: as if there were none. */
	write_text(
		"{\"version\": 1, \"backends\": {}, \"addresses\": {\"h\": {\"v4\": \"224.0.0.1\", \"v6\": \"::\"}}}");
	saved = saved_new(file);
	ck_assert(!saved_address(saved, &h_v4, ip));
	ck_assert(!saved_address(saved, &h_v6, ip));
	ck_assert_int_eq(saved_set_address(saved, &h_v4, v4), 0);
	ck_assert(saved_address(saved, &h_v4, ip));
	saved_free(saved);
}
END_TEST

START_TEST(test_prune)
{
	static const uint8_t v4[16] = { [10] = 0xff, 0xff, 192, 0, 2, 1 };
	struct conf_backend stays = backend_b(), changed = backend_make("c", "127.0.0.1:6003"),
			    gone = backend_make("d", "127.0.0.1:6004"), named = { .name = "e", .host = "h" };
	struct conf_backend now[] = { stays, changed, named };
	struct conf_pool pool = { .name = "p", .backends = now, .backend_count = 3 };
	struct conf conf = { .pools = &pool, .pool_count = 1 };
	struct saved *saved = saved_new(file);

	ck_assert_int_eq(saved_set(saved, "p", &changed, BACKEND_DRAIN, 100), 0);
	ck_assert_int_eq(saved_set(saved, "p", &gone, BACKEND_DRAIN, 100), 0);
	ck_assert_int_eq(saved_set(saved, "q", &stays, BACKEND_DRAIN, 100), 0);
	ck_assert_int_eq(saved_set(saved, "p", &stays, BACKEND_DRAIN, 30), 0);
	ck_assert_int_eq(saved_set_address(saved, &old_v4, v4), 0);
	ck_assert_int_eq(saved_set_address(saved, &h_v4, v4), 0);
	now[1].weight = 50;
	saved_prune(saved, &conf);
	/* An entry that is changed back brings nothing back. */
	ck_assert_int_eq(admin_of(saved, "p", &changed), -1);
	ck_assert_int_eq(saved_save(saved), 0);
	saved_free(saved);
	const char *text = text_of(file);
	ck_assert_ptr_nonnull(
		strstr(text, "  \"addresses\": {\n    \"h\": {\n      \"v4\": \"192.0.2.1\"\n    }\n  },\n"));
	ck_assert_str_eq(strstr(text, "  \"backends\""), strstr(drained, "  \"backends\""));

	saved = saved_new(file);
	ck_assert_int_eq(unlink(file), 0);
	saved_prune(saved, &conf);
	ck_assert_int_eq(saved_save(saved), 0);
	ck_assert_int_eq(access(file, F_OK), -1);
	saved_free(saved);
}
END_TEST

static const struct saved_id moved[] = { { { 1, { 0x0a } }, "b" },
					 { { 1, { 0xff } }, "spare" },
					 { { 1, { 1 } }, "b" } };

static int tell(void *ctx, const struct saved_id *id)
{
	char *text = ctx;

	sprintf(text + strlen(text), "%u:%02x%02x=%s ", id->id.len, id->id.octets[0], id->id.octets[1], id->backend);
	return strcmp(id->backend, "stop") == 0;
}

/* Each id of the pool, as "length:octets=owner ". */
static const char *ids_of(const struct saved *saved, const char *pool)
{
	static char text[256];

	*text = '\0';
	ck_assert_int_eq(saved_each_id(saved, pool, tell, text), 0);
	return text;
}

START_TEST(test_ids)
{
	struct saved *saved = saved_new(file);

	ck_assert_str_eq(ids_of(saved, "p"), "");
	ck_assert_int_eq(saved_set_ids(saved, "p", moved, 0), 0);
	ck_assert_int_eq(saved_save(saved), 0);
	ck_assert_int_eq(access(file, F_OK), -1);
	ck_assert_int_eq(saved_set_ids(saved, "p", moved, 3), 0);
	ck_assert_int_eq(access(file, F_OK), -1);
	ck_assert_int_eq(saved_save(saved), 0);
	ck_assert_ptr_nonnull(strstr(text_of(file),
				     "  \"ids\": {\n    \"p\": {\n      \"01\": \"b\",\n      \"0a\": \"b\",\n"
				     "      \"ff\": \"spare\"\n    }\n  },\n"));
	saved_free(saved);

	saved = saved_new(file);
	ck_assert_str_eq(ids_of(saved, "p"), "1:0100=b 1:0a00=b 1:ff00=spare ");
	ck_assert_str_eq(ids_of(saved, "q"), "");
	/* The same in another order: nothing is new, so nothing is written. */
	ck_assert_int_eq(unlink(file), 0);
	ck_assert_int_eq(saved_set_ids(saved, "p", (struct saved_id[]){ moved[2], moved[0], moved[1] }, 3), 0);
	ck_assert_int_eq(saved_save(saved), 0);
	ck_assert_int_eq(access(file, F_OK), -1);
	/* Another owner; then fewer; then none. */
	ck_assert_int_eq(saved_set_ids(saved, "p", &(struct saved_id){ moved[0].id, "c" }, 1), 0);
	ck_assert_str_eq(ids_of(saved, "p"), "1:0a00=c ");
	ck_assert_int_eq(saved_set_ids(saved, "p", NULL, 0), 0);
	ck_assert_int_eq(saved_save(saved), 0);
	ck_assert_str_eq(text_of(file), empty);
	saved_free(saved);
	ck_assert_str_eq(text_of(said_file), "");
}
END_TEST

START_TEST(test_ids_end_early)
{
	const struct saved_id stop[] = { { { 2, { 1, 2 } }, "stop" } };
	struct saved *saved = saved_new(NULL);
	char text[256] = "";

	ck_assert_int_eq(saved_set_ids(saved, "p", stop, 1), 0);
	ck_assert_int_eq(saved_each_id(saved, "p", tell, text), 1);
	ck_assert_str_eq(text, "2:0102=stop ");
	saved_free(saved);
}
END_TEST

/* Ids of pools and backends that are gone are forgotten. A file from before ids were kept is good. */
START_TEST(test_ids_pruned)
{
	struct conf_backend b = backend_b();
	struct conf_pool pool = { .name = "p", .backends = &b, .backend_count = 1 };
	struct conf conf = { .pools = &pool, .pool_count = 1 };

	write_text("{\"version\": 1, \"backends\": {}, \"addresses\": {}}");
	struct saved *saved = saved_new(file);
	ck_assert_int_eq(saved_set_ids(saved, "p", moved, 3), 0);
	ck_assert_int_eq(saved_set_ids(saved, "q", moved, 3), 0);
	saved_prune(saved, &conf);
	ck_assert_str_eq(ids_of(saved, "p"), "1:0a00=b 1:0100=b ");
	ck_assert_str_eq(ids_of(saved, "q"), "");
	ck_assert_int_eq(saved_save(saved), 0);
	ck_assert_int_eq(unlink(file), 0);
	saved_prune(saved, &conf);
	ck_assert_int_eq(saved_save(saved), 0);
	ck_assert_int_eq(access(file, F_OK), -1);
	saved_free(saved);
	ck_assert_str_eq(text_of(said_file), "");
}
END_TEST

/* The files of earlier versions. What they keep is in force, and stays in the file. */
START_TEST(test_files_of_before)
{
	static const char *const names[] = { "first_state.json", "state.json" };
	static const struct resolve_name named = { "lwm2m-0.example", false };
	struct conf_backend a = backend_make("a", "127.0.0.1:26001"), b = backend_make("b", "127.0.0.1:26002"),
			    c = backend_make("c", "127.0.0.1:26003");
	enum backend_admin admin;
	char path[512];
	uint16_t weight;
	uint8_t ip[16];

	a.id.octets[0] = 1;
	c.id.octets[0] = 3;
	snprintf(path, sizeof path, TESTS_DIR "/fixtures/upgrade/%s", names[_i]);
	write_text(text_of(path));
	struct saved *saved = saved_new(file);
	ck_assert_int_eq(admin_of(saved, "coaps", &a), BACKEND_DRAIN);
	ck_assert_int_eq(admin_of(saved, "coaps", &c), BACKEND_MAINT);
	ck_assert(saved_get(saved, "coaps", &b, &admin, &weight));
	ck_assert_int_eq(admin, BACKEND_READY);
	ck_assert_uint_eq(weight, 30);
	ck_assert(saved_address(saved, &named, ip) == (_i == 0));
	ck_assert_str_eq(ids_of(saved, "coaps"), _i == 0 ? "" : "1:0300=b ");
	/* Nothing was watched. */
	ck_assert_int_eq(saved_watched(saved)->at_s, 0);
	ck_assert_int_eq(saved_set(saved, "coaps", &b, BACKEND_DRAIN, 100), 0);
	saved_free(saved);
	saved = saved_new(file);
	ck_assert_int_eq(admin_of(saved, "coaps", &a), BACKEND_DRAIN);
	ck_assert_int_eq(admin_of(saved, "coaps", &b), BACKEND_DRAIN);
	saved_free(saved);
	ck_assert_str_eq(text_of(said_file), "");
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_outlives_a_restart);
	tcase_add_test(tests, test_names_are_not_confused);
	tcase_add_test(tests, test_void_where_the_entry_changed);
	tcase_add_test(tests, test_left);
	tcase_add_test(tests, test_a_named_backend);
	tcase_add_test(tests, test_addresses);
	tcase_add_test(tests, test_prune);
	tcase_add_test(tests, test_ids);
	tcase_add_test(tests, test_ids_end_early);
	tcase_add_test(tests, test_ids_pruned);
	tcase_add_loop_test(tests, test_files_of_before, 0, 2);
}
