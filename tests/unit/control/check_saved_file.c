/* The file itself: damaged, unreadable, on a full disk, and in a directory of somebody else. */
#include <errno.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "tests/fixtures/saved_fixture.h"
#include "tests/unit/suite.h"

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

/* Makes the file a mount of its own, as one that is given to a container is. False: this process may not. */
static bool file_mount(void)
{
	return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount(file, file, NULL, MS_BIND, NULL) == 0;
}

/* It cannot be replaced, and is overwritten: by a longer text, and by a shorter one. */
START_TEST(test_a_mounted_file)
{
	struct conf_backend b = backend_b();
	char temporary[80];

	write_text(empty);
	if (!file_mount())
		return;
	snprintf(temporary, sizeof temporary, "%s.tmp", file);
	struct saved *saved = saved_new(file);
	ck_assert_int_eq(saved_set(saved, "p", &b, BACKEND_DRAIN, 30), 0);
	ck_assert_int_eq(saved_fault(saved), 0);
	ck_assert_str_eq(text_of(file), drained);
	ck_assert_int_eq(saved_set(saved, "p", &b, BACKEND_READY, 100), 0);
	ck_assert_str_eq(text_of(file), empty);
	ck_assert_int_eq(access(temporary, F_OK), -1);
	saved_free(saved);
	ck_assert_str_eq(text_of(said_file), "");
	ck_assert_int_eq(umount(file), 0);
}
END_TEST

START_TEST(test_a_damaged_mounted_file)
{
	struct conf_backend b = backend_b();

	write_text("{ \"version\": ");
	if (!file_mount())
		return;
	struct saved *saved = saved_new(file);
	ck_assert_str_eq(text_of(bad), "{ \"version\": ");
	ck_assert_int_eq(said("state.json is damaged (not JSON, line 1): set aside as "), 1);
	ck_assert_int_eq(saved_set(saved, "p", &b, BACKEND_DRAIN, 30), 0);
	ck_assert_str_eq(text_of(file), drained);
	saved_free(saved);
	ck_assert_int_eq(umount(file), 0);
}
END_TEST

/* On a full disk of its own the file keeps what it has, and says so. */
START_TEST(test_a_mounted_file_on_a_full_disk)
{
	struct conf_backend b = backend_b(), c = backend_make("c", "127.0.0.1:6003");
	char disk[80], on_disk[96], fill[96], block[4096] = "";
	int fd;

	snprintf(disk, sizeof disk, "%s/disk", dir);
	snprintf(on_disk, sizeof on_disk, "%s/state.json", disk);
	snprintf(fill, sizeof fill, "%s/fill", disk);
	ck_assert_int_eq(mkdir(disk, 0755), 0);
	write_text("");
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", disk, "tmpfs", 0, "size=64k") < 0)
		return;
	fd = open(on_disk, O_WRONLY | O_CREAT, 0644);
	ck_assert_int_eq(write(fd, drained, strlen(drained)), (ssize_t)strlen(drained));
	close(fd);
	fd = open(fill, O_WRONLY | O_CREAT, 0644);
	while (write(fd, block, sizeof block) > 0) {
	}
	close(fd);
	ck_assert_int_eq(mount(on_disk, file, NULL, MS_BIND, NULL), 0);
	struct saved *saved = saved_new(file);
	/* The page that it has is enough for this one. */
	ck_assert_int_eq(saved_set(saved, "p", &b, BACKEND_MAINT, 30), 0);
	ck_assert_ptr_nonnull(strstr(text_of(file), "\"state\": \"maint\""));
	int failed = 0;
	for (int i = 0; i < 64 && !failed; i++) {
		char name[80];

		snprintf(name, sizeof name, "c%060d", i);
		c.name = name;
		failed = saved_set(saved, "p", &c, BACKEND_DRAIN, 40);
	}
	ck_assert_int_eq(failed, -ENOSPC);
	ck_assert_int_eq(saved_fault(saved), -ENOSPC);
	saved_free(saved);
	ck_assert_int_eq(said(" error state_file: "), 1);
	/* What was written last is whole. */
	saved = saved_new(file);
	ck_assert_int_eq(admin_of(saved, "p", &b), BACKEND_MAINT);
	saved_free(saved);
	ck_assert_int_eq(umount(file), 0);
	ck_assert_int_eq(umount(disk), 0);
}
END_TEST

/* A disk that has become read-only still tells what was set. */
START_TEST(test_a_read_only_disk)
{
	struct conf_backend b = backend_b();

	write_text(drained);
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(dir, dir, NULL, MS_BIND, NULL) < 0 ||
	    mount(dir, dir, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0)
		return;
	ck_assert_int_eq(saved_prepare(file, geteuid(), getegid()), -EROFS);
	struct saved *saved = saved_new(file);
	ck_assert_int_eq(saved_fault(saved), 0);
	ck_assert_int_eq(admin_of(saved, "p", &b), BACKEND_DRAIN);
	ck_assert_int_eq(saved_set(saved, "p", &b, BACKEND_MAINT, 30), -EROFS);
	ck_assert_int_eq(saved_fault(saved), -EROFS);
	saved_free(saved);
	ck_assert_int_eq(umount(dir), 0);
	ck_assert_str_eq(text_of(file), drained);
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
	tcase_add_test(tests, test_damaged_is_set_aside);
	tcase_add_test(tests, test_no_room_aside);
	tcase_add_test(tests, test_unreadable_is_left_alone);
	tcase_add_test(tests, test_nothing_is_kept);
	tcase_add_test(tests, test_what_was_there_stays);
	tcase_add_test(tests, test_a_mounted_file);
	tcase_add_test(tests, test_a_damaged_mounted_file);
	tcase_add_test(tests, test_a_mounted_file_on_a_full_disk);
	tcase_add_test(tests, test_a_read_only_disk);
	tcase_add_test(tests, test_prepare_makes_the_last_directory);
	tcase_add_test(tests, test_prepare_asks_for_the_user);
	tcase_add_test(tests, test_prepare_the_usual_place);
}
