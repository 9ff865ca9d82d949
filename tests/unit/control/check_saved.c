/* What is kept over a restart, in a directory of the suite's own. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/saved.h"
#include "tests/unit/suite.h"

static char dir[] = "/tmp/check_saved.XXXXXX", file[64], bad[72], said_file[64];

static void setup(void)
{
	int fd;

	strcpy(strrchr(dir, '.'), ".XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(file, sizeof file, "%s/state.json", dir);
	snprintf(bad, sizeof bad, "%s.bad", file);
	snprintf(said_file, sizeof said_file, "%s/stderr", dir);
	umask(022);
	fd = open(said_file, O_RDWR | O_CREAT | O_APPEND, 0600);
	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	close(fd);
}

static void teardown(void)
{
	char command[80];

	snprintf(command, sizeof command, "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static const char *text_of(const char *name)
{
	static char text[16384];
	FILE *in = fopen(name, "r");
	size_t len = in ? fread(text, 1, sizeof text - 1, in) : 0;

	text[len] = '\0';
	if (in)
		fclose(in);
	return in ? text : "(no file)";
}

static void write_text(const char *text)
{
	FILE *out = fopen(file, "w");

	ck_assert_ptr_nonnull(out);
	fputs(text, out);
	ck_assert_int_eq(fclose(out), 0);
}

/* How often `words` were logged. */
static int said(const char *words)
{
	int count = 0;

	for (const char *at = text_of(said_file); (at = strstr(at, words)); at++)
		count++;
	return count;
}

static struct conf_backend backend_make(const char *name, const char *address)
{
	struct conf_backend backend = { .name = (char *)name, .has_id = true, .id = { 1, { 2 } }, .weight = 100 };

	ck_assert_int_eq(addr_parse(&backend.addr, address), 0);
	return backend;
}

static struct conf_backend backend_b(void)
{
	return backend_make("b", "127.0.0.1:6002");
}

/* -1: nothing was set. */
static int admin_of(const struct saved *saved, const char *pool, const struct conf_backend *backend)
{
	enum backend_admin admin;
	uint16_t weight;

	return saved_get(saved, pool, backend, &admin, &weight) ? (int)admin : -1;
}

static void set(const char *pool, const struct conf_backend *backend, enum backend_admin admin, uint16_t weight)
{
	struct saved *saved = saved_new(file);

	ck_assert_int_eq(saved_set(saved, pool, backend, admin, weight), 0);
	saved_free(saved);
}

static const char drained[] = "{\n"
			      "  \"addresses\": {},\n"
			      "  \"backends\": {\n"
			      "    \"p\": {\n"
			      "      \"b\": {\n"
			      "        \"entry\": {\n"
			      "          \"address\": \"127.0.0.1:6002\",\n"
			      "          \"id\": \"02\",\n"
			      "          \"state\": \"ready\",\n"
			      "          \"weight\": 100\n"
			      "        },\n"
			      "        \"state\": \"drain\",\n"
			      "        \"weight\": 30\n"
			      "      }\n"
			      "    }\n"
			      "  },\n"
			      "  \"ids\": {},\n"
			      "  \"version\": 1\n"
			      "}";
static const char empty[] = "{\n  \"addresses\": {},\n  \"backends\": {},\n  \"ids\": {},\n  \"version\": 1\n}";

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

START_TEST(test_addresses)
{
	static const char kept[] = "{\n  \"addresses\": {\n    \"h\": {\n      \"v4\": \"192.0.2.1\",\n      \"v6\": "
				   "\"2001:db8::1\"\n    }\n  },\n"
				   "  \"backends\": {},\n  \"ids\": {},\n  \"version\": 1\n}";
	static const uint8_t v4[16] = { [10] = 0xff, 0xff, 192, 0, 2, 1 },
			     v6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
	struct saved *saved = saved_new(file);
	uint8_t ip[16];

	ck_assert(!saved_address(saved, "h", false, ip));
	ck_assert_int_eq(saved_set_address(saved, "h", false, v4), 0);
	ck_assert_int_eq(saved_set_address(saved, "h", true, v6), 0);
	ck_assert_int_eq(saved_set_address(saved, "h", true, v4), -EINVAL);
	ck_assert_int_eq(access(file, F_OK), -1);
	ck_assert_int_eq(saved_save(saved), 0);
	ck_assert_str_eq(text_of(file), kept);
	/* Nothing is new, so nothing is written. */
	ck_assert_int_eq(unlink(file), 0);
	ck_assert_int_eq(saved_set_address(saved, "h", false, v4), 0);
	ck_assert_int_eq(saved_save(saved), 0);
	ck_assert_int_eq(access(file, F_OK), -1);
	saved_free(saved);

	write_text(kept);
	saved = saved_new(file);
	ck_assert(saved_address(saved, "h", false, ip));
	ck_assert_mem_eq(ip, v4, 16);
	ck_assert(saved_address(saved, "h", true, ip));
	ck_assert_mem_eq(ip, v6, 16);
	ck_assert(!saved_address(saved, "H", true, ip));
	saved_free(saved);
	/* Not written by a resolver: as if there were none. */
	write_text(
		"{\"version\": 1, \"backends\": {}, \"addresses\": {\"h\": {\"v4\": \"224.0.0.1\", \"v6\": \"::\"}}}");
	saved = saved_new(file);
	ck_assert(!saved_address(saved, "h", false, ip));
	ck_assert(!saved_address(saved, "h", true, ip));
	ck_assert_int_eq(saved_set_address(saved, "h", false, v4), 0);
	ck_assert(saved_address(saved, "h", false, ip));
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
	ck_assert_int_eq(saved_set_address(saved, "old", false, v4), 0);
	ck_assert_int_eq(saved_set_address(saved, "h", false, v4), 0);
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

#define ONE_BACKEND(kept) "{\"version\": 1, \"backends\": {\"p\": {\"b\": {" kept "}}}, \"addresses\": {}}"

#define IDS(kept) "{\"version\": 1, \"backends\": {}, \"addresses\": {}, \"ids\": " kept "}"

START_TEST(test_damaged_is_set_aside)
{
	static const char *const faults[] = {
		"",
		"{",
		"[]",
		"{\"version\": 1, \"backends\": {}}",
		"{\"version\": 2, \"backends\": {}, \"addresses\": {}}",
		"{\"version\": 1, \"version\": 1, \"backends\": {}, \"addresses\": {}}",
		"{\"version\": 1, \"backends\": {\"p\": 1}, \"addresses\": {}}",
		ONE_BACKEND("\"entry\": {}, \"state\": \"off\", \"weight\": 1"),
		ONE_BACKEND("\"entry\": {}, \"state\": \"drain\", \"weight\": 257"),
		ONE_BACKEND("\"state\": \"drain\", \"weight\": 1"),
		"{\"version\": 1, \"backends\": {}, \"addresses\": {\"h\": {\"v4\": \"::1\"}}}",
		"{\"version\": 1, \"backends\": {}, \"addresses\": {\"h\": {\"v6\": \"192.0.2.1\"}}}",
		"{\"version\": 1, \"backends\": {}, \"addresses\": {\"h\": \"192.0.2.1\"}}",
		IDS("[]"),
		IDS("{\"p\": \"b\"}"),
		IDS("{\"p\": {\"01\": 1}}"),
		IDS("{\"p\": {\"\": \"b\"}}"),
		IDS("{\"p\": {\"1\": \"b\"}}"),
		IDS("{\"p\": {\"0A\": \"b\"}}"),
		IDS("{\"p\": {\"0g\": \"b\"}}"),
		IDS("{\"p\": {\"01010101010101010101010101010101010101010101\": \"b\"}}"),
		"root:x:0:0:secret",
	};
	struct conf_backend b = backend_b();
	char name[80];

	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		write_text(faults[i]);
		struct saved *saved = saved_new(file);
		ck_assert_int_eq(access(file, F_OK), -1);
		if (i == 0)
			strcpy(name, bad);
		else
			snprintf(name, sizeof name, "%s.%zu", bad, i);
		ck_assert_str_eq(text_of(name), faults[i]);
		ck_assert_int_eq(said(" warning state_file: "), (int)i + 1);
		ck_assert_int_eq(saved_set(saved, "p", &b, BACKEND_DRAIN, 30), 0);
		ck_assert_str_eq(text_of(file), drained);
		saved_free(saved);
	}
	ck_assert_int_eq(said("secret"), 0);
	ck_assert_int_eq(said(" is damaged (not JSON, line 1): set aside as "), 4);
}
END_TEST

/* After 100 of them the damaged file stays where it is. */
START_TEST(test_no_room_aside)
{
	struct conf_backend b = backend_b();
	char name[80];

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, i ? "%s.%d" : "%s", bad, i);
		close(open(name, O_WRONLY | O_CREAT, 0600));
	}
	write_text("{");
	struct saved *saved = saved_new(file);
	ck_assert_int_eq(said("cannot be set aside: File exists"), 1);
	ck_assert_int_eq(saved_set(saved, "p", &b, BACKEND_DRAIN, 30), -EEXIST);
	ck_assert_str_eq(text_of(file), "{");
	saved_free(saved);
}
END_TEST

/* What cannot be read is not replaced. What is set still holds until the end. */
START_TEST(test_unreadable_is_left_alone)
{
	struct conf_backend b = backend_b();
	struct stat there;

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(i == 0   ? mkdir(file, 0755)
				 : i == 1 ? mkfifo(file, 0644)
					  : symlink(said_file, file),
				 0);
		struct saved *saved = saved_new(file);
		ck_assert_int_eq(said("state.json cannot be read: not a regular file"), i + 1);
		ck_assert_int_eq(saved_set(saved, "p", &b, BACKEND_DRAIN, 30), -EINVAL);
		ck_assert_int_eq(admin_of(saved, "p", &b), BACKEND_DRAIN);
		ck_assert_int_eq(lstat(file, &there), 0);
		ck_assert(!S_ISREG(there.st_mode));
		saved_free(saved);
		ck_assert_int_eq(remove(file), 0);
	}
}
END_TEST

START_TEST(test_nothing_is_kept)
{
	struct conf_backend b = backend_b();
	struct saved *saved = saved_new(NULL);

	ck_assert_int_eq(saved_set(saved, "p", &b, BACKEND_DRAIN, 30), 0);
	ck_assert_int_eq(admin_of(saved, "p", &b), BACKEND_DRAIN);
	saved_free(saved);
	ck_assert_str_eq(text_of(said_file), "");
}
END_TEST

/* A disk that is full, and then has room again. */
START_TEST(test_what_was_there_stays)
{
	struct conf_backend b = backend_b(), c = backend_make("c", "127.0.0.1:6003");
	struct rlimit room;
	char temporary[80];

	set("p", &b, BACKEND_DRAIN, 30);
	snprintf(temporary, sizeof temporary, "%s.tmp", file);
	close(open(temporary, O_WRONLY | O_CREAT, 0600)); /* left by a crash */
	struct saved *saved = saved_new(file);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &room), 0);
	/* Not within an assertion, because assertions write to a file too. */
	bool limited = setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 350, room.rlim_max }) == 0;
	int failed[] = { saved_set(saved, "p", &c, BACKEND_DRAIN, 40), saved_set(saved, "p", &c, BACKEND_DRAIN, 41) };
	limited &= setrlimit(RLIMIT_FSIZE, &room) == 0;
	ck_assert(limited);
	ck_assert_int_eq(failed[0], -EFBIG);
	ck_assert_int_eq(failed[1], -EFBIG);
	ck_assert_str_eq(text_of(file), drained);
	ck_assert_int_eq(access(temporary, F_OK), -1);
	/* The next change also writes what failed. */
	ck_assert_int_eq(saved_set(saved, "p", &b, BACKEND_MAINT, 30), 0);
	saved_free(saved);
	ck_assert_ptr_nonnull(strstr(text_of(file), "\"weight\": 41"));
	ck_assert_ptr_nonnull(strstr(text_of(file), "\"state\": \"maint\""));
	ck_assert_int_eq(said(" error state_file: "), 1);
	ck_assert_int_eq(said(" is written again"), 1);
}
END_TEST

START_TEST(test_prepare_makes_the_last_directory)
{
	char name[80];
	struct stat there;
	const struct passwd *nobody = getpwnam("nobody");
	uid_t uid = geteuid() == 0 && nobody ? nobody->pw_uid : geteuid();
	gid_t gid = geteuid() == 0 && nobody ? nobody->pw_gid : getegid();

	ck_assert_int_eq(chmod(dir, 0755), 0);
	snprintf(name, sizeof name, "%s/a/b/state.json", dir);
	ck_assert_int_eq(saved_prepare(name, uid, gid), -ENOENT);
	ck_assert_int_eq(said(" error state_file: what is set by command will not outlive a restart: "), 1);
	snprintf(name, sizeof name, "%s/a/state.json", dir);
	ck_assert_int_eq(saved_prepare(name, uid, gid), 0);
	ck_assert_int_eq(saved_prepare(name, uid, gid), 0);
	snprintf(name, sizeof name, "%s/a", dir);
	ck_assert_int_eq(stat(name, &there), 0);
	ck_assert_uint_eq(there.st_mode & 07777, 0755);
	ck_assert_uint_eq(there.st_uid, uid);
	ck_assert_uint_eq(there.st_gid, gid);
	ck_assert_int_eq(saved_prepare(NULL, uid, gid), 0);
	ck_assert_int_eq(said("state_file"), 1);
}
END_TEST

/* A directory of somebody else is not given away. Root finds out what it will not be able to do later. */
START_TEST(test_prepare_asks_for_the_user)
{
	const struct passwd *nobody = getpwnam("nobody");
	struct stat there;

	if (geteuid() != 0 || !nobody)
		return;
	ck_assert_int_eq(chmod(dir, 0755), 0);
	ck_assert_int_eq(saved_prepare(file, nobody->pw_uid, nobody->pw_gid), -EACCES);
	ck_assert_uint_eq(geteuid(), 0);
	ck_assert_uint_eq(getegid(), 0);
	ck_assert_int_eq(stat(dir, &there), 0);
	ck_assert_uint_eq(there.st_uid, 0);
	ck_assert_int_eq(said("state.json cannot be written: Permission denied"), 1);
}
END_TEST

/* The usual directory is given away. In a mount namespace, because it is the same for all. */
START_TEST(test_prepare_the_usual_place)
{
	const struct passwd *nobody = getpwnam("nobody");
	struct stat there;

	if (geteuid() != 0 || !nobody || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/var/lib", "tmpfs", 0, "mode=0755") < 0)
		return;
	ck_assert_int_eq(mkdir("/var/lib/cidlb", 0755), 0);
	ck_assert_int_eq(saved_prepare(CONF_STATE_FILE, nobody->pw_uid, nobody->pw_gid), 0);
	ck_assert_int_eq(stat("/var/lib/cidlb", &there), 0);
	ck_assert_uint_eq(there.st_uid, nobody->pw_uid);
	ck_assert_str_eq(text_of(said_file), "");
	ck_assert_int_eq(mount("none", "/var/lib", "tmpfs", MS_REMOUNT | MS_RDONLY, NULL), 0);
	ck_assert_int_eq(saved_prepare(CONF_STATE_FILE, nobody->pw_uid, nobody->pw_gid), -EROFS);
	ck_assert_int_eq(said(" warning state_file: what is set by command will not outlive a restart: "), 1);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_outlives_a_restart);
	tcase_add_test(tests, test_names_are_not_confused);
	tcase_add_test(tests, test_void_where_the_entry_changed);
	tcase_add_test(tests, test_a_named_backend);
	tcase_add_test(tests, test_addresses);
	tcase_add_test(tests, test_prune);
	tcase_add_test(tests, test_ids);
	tcase_add_test(tests, test_ids_end_early);
	tcase_add_test(tests, test_ids_pruned);
	tcase_add_test(tests, test_damaged_is_set_aside);
	tcase_add_test(tests, test_no_room_aside);
	tcase_add_test(tests, test_unreadable_is_left_alone);
	tcase_add_test(tests, test_nothing_is_kept);
	tcase_add_test(tests, test_what_was_there_stays);
	tcase_add_test(tests, test_prepare_makes_the_last_directory);
	tcase_add_test(tests, test_prepare_asks_for_the_user);
	tcase_add_test(tests, test_prepare_the_usual_place);
}
