/* What a child that has given up root can still do. Skipped without root. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/priv.h"
#include "tests/unit/suite.h"

/* A line of /proc/self/status, without its name. */
static void read_status(const char *name, char *out, size_t size)
{
	char line[256];
	FILE *file = fopen("/proc/self/status", "r");

	ck_assert_ptr_nonnull(file);
	out[0] = '\0';
	while (fgets(line, sizeof line, file) != NULL) {
		if (strncmp(line, name, strlen(name)) == 0)
			snprintf(out, size, "%s", line + strlen(name));
	}
	fclose(file);
	ck_assert_str_ne(out, "");
}

START_TEST(test_drop)
{
	static const char *const sets[] = { "CapInh:\t", "CapPrm:\t", "CapEff:\t", "CapBnd:\t", "CapAmb:\t" };
	const char *why = "";
	const struct passwd *nobody = getpwnam("nobody");
	char text[256];

	if (geteuid() != 0 || !nobody)
		return;
	ck_assert_int_eq(priv_drop("nobody", &why), 0);
	ck_assert_ptr_null(why);
	ck_assert_uint_eq(getuid(), nobody->pw_uid);
	ck_assert_uint_eq(getgid(), nobody->pw_gid);
	ck_assert_int_eq(setuid(0), -1);
	ck_assert_int_eq(setgid(0), -1);
	ck_assert_int_eq(open("/etc/shadow", O_RDONLY), -1);
	for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
		read_status(sets[i], text, sizeof text);
		ck_assert_str_eq(text, "0000000000000000\n");
	}
	gid_t groups[64];
	int count = getgroups(64, groups);
	for (int i = 0; i < count; i++)
		ck_assert_uint_ne(groups[i], 0);
	ck_assert_int_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
}
END_TEST

START_TEST(test_twice_does_nothing)
{
	const char *why;

	if (geteuid() != 0)
		return;
	ck_assert_int_eq(priv_drop("nobody", &why), 0);
	ck_assert_int_eq(priv_drop("no-such-user-here", &why), 0);
}
END_TEST

START_TEST(test_refused_users)
{
	const char *why = NULL;

	if (geteuid() != 0)
		return;
	ck_assert_int_eq(priv_drop("no-such-user-here", &why), -ENOENT);
	ck_assert_str_eq(why, "no such user");
	ck_assert_int_eq(priv_drop("root", &why), -EINVAL);
	ck_assert_ptr_nonnull(why);
	ck_assert_uint_eq(geteuid(), 0);
}
END_TEST

/* What root could do anyway, for a user that it only asks about. */
START_TEST(test_access)
{
	const struct passwd *nobody = getpwnam("nobody");

	ck_assert_int_eq(priv_access("/", R_OK | X_OK, geteuid(), getegid()), 0);
	ck_assert_int_eq(priv_access("/no-such-file-here", F_OK, geteuid(), getegid()), -ENOENT);
	if (geteuid() != 0 || !nobody)
		return;
	ck_assert_int_eq(priv_access("/etc/shadow", R_OK, 0, 0), 0);
	ck_assert_int_eq(priv_access("/etc/shadow", R_OK, nobody->pw_uid, nobody->pw_gid), -EACCES);
	ck_assert_int_eq(priv_access("/tmp", W_OK | X_OK, nobody->pw_uid, nobody->pw_gid), 0);
	ck_assert_uint_eq(geteuid(), 0);
	ck_assert_uint_eq(getegid(), 0);
	int fd = open("/etc/shadow", O_RDONLY);
	ck_assert_int_ge(fd, 0);
	close(fd);
}
END_TEST

START_TEST(test_default_user)
{
	const char *why;
	const struct passwd *user = getpwnam("cidlb");

	if (!user)
		user = getpwnam("nobody");
	if (geteuid() != 0 || !user)
		return;
	uid_t uid = user->pw_uid;
	ck_assert_int_eq(priv_drop(NULL, &why), 0);
	ck_assert_uint_eq(getuid(), uid);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, test_drop);
	tcase_add_test(tests, test_twice_does_nothing);
	tcase_add_test(tests, test_refused_users);
	tcase_add_test(tests, test_access);
	tcase_add_test(tests, test_default_user);
}
