/* What a child that has given up root can still do. Skipped without root. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

static void ambient_raise(unsigned capability)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

	ck_assert_int_eq(syscall(SYS_capget, &header, sets), 0);
	sets[0].inheritable |= 1U << capability;
	sets[0].effective |= 1U << capability;
	ck_assert_int_eq(syscall(SYS_capset, &header, sets), 0);
	ck_assert_int_eq(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, (unsigned long)capability, 0, 0), 0);
}

/* As a unit with User= and AmbientCapabilities= starts it. */
START_TEST(test_ambient_capabilities)
{
	static const char *const sets[] = { "CapInh:\t", "CapPrm:\t", "CapEff:\t", "CapAmb:\t" };
	const struct passwd *nobody = getpwnam("nobody");
	const char *why = "";
	char text[256];

	if (geteuid() != 0 || !nobody)
		return;
	ck_assert_int_eq(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(setresuid(nobody->pw_uid, nobody->pw_uid, nobody->pw_uid), 0);
	ambient_raise(CAP_NET_BIND_SERVICE);
	ck_assert(priv_binds(1));
	ck_assert_int_eq(priv_drop("no-such-user-here", &why), 0);
	ck_assert_ptr_null(why);
	ck_assert(!priv_binds(1));
	for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
		read_status(sets[i], text, sizeof text);
		ck_assert_str_eq(text, "0000000000000000\n");
	}
	ck_assert_uint_eq(geteuid(), nobody->pw_uid);
	ck_assert_int_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
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

static void capability_give_up(unsigned capability)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

	ck_assert_int_eq(syscall(SYS_capget, &header, sets), 0);
	sets[0].effective &= ~(1U << capability);
	sets[0].permitted &= ~(1U << capability);
	ck_assert_int_eq(syscall(SYS_capset, &header, sets), 0);
}

/* A container may lack any of these. What the drop needs, a try misses as well, and with the same words. */
static const struct {
	unsigned capability;
	const char *why; /* NULL: it is not needed */
} lacking[] = {
	{ CAP_SETPCAP, NULL },
	{ CAP_CHOWN, NULL },
	{ CAP_DAC_OVERRIDE, NULL },
	{ CAP_SETUID, "cannot take on the user" },
	{ CAP_SETGID, "cannot take on the group" }, /* with no groups to give up */
};

START_TEST(test_few_capabilities)
{
	struct priv_user nobody;
	const char *why = NULL;
	const int err = lacking[_i].why ? -EPERM : 0;

	if (geteuid() != 0 || priv_find("nobody", &nobody) != 0)
		return;
	ck_assert_int_eq(setgroups(0, NULL), 0);
	capability_give_up(lacking[_i].capability);
	ck_assert_int_eq(priv_try(&nobody, &why), err);
	ck_assert_pstr_eq(why, lacking[_i].why);
	ck_assert_uint_eq(geteuid(), 0);
	ck_assert_uint_eq(getegid(), 0);
	ck_assert_int_eq(priv_drop("nobody", &why), err);
	ck_assert_pstr_eq(why, lacking[_i].why);
	if (!err)
		ck_assert_uint_eq(getuid(), nobody.uid);
}
END_TEST

/* Groups that cannot be given up would stay. */
START_TEST(test_groups_that_stay)
{
	struct priv_user nobody;
	const gid_t adm = 4;
	const char *why = NULL;

	if (geteuid() != 0 || priv_find("nobody", &nobody) != 0)
		return;
	ck_assert_int_eq(setgroups(1, &adm), 0);
	capability_give_up(CAP_SETGID);
	ck_assert_int_eq(priv_try(&nobody, &why), -EPERM);
	ck_assert_str_eq(why, "cannot take on the user's groups");
	ck_assert_int_eq(priv_drop("nobody", &why), -EPERM);
	ck_assert_str_eq(why, "cannot take on the user's groups");
}
END_TEST

/* Its groups count, too, and root has its own again afterwards. */
START_TEST(test_read)
{
	static const char name[] = "/tmp/check_priv.XXXXXX";
	struct priv_user user = { .uid = 65534, .gid = 65534, .groups = { 65534, 4 }, .group_count = 2 };
	const gid_t before[] = { 1, 2 };
	char path[sizeof name];
	gid_t after[8];

	if (geteuid() != 0)
		return;
	strcpy(path, name);
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(setgroups(2, before), 0);
	ck_assert_int_eq(priv_read(path, &user), -EACCES);
	ck_assert_int_eq(chown(path, 0, 4), 0);
	ck_assert_int_eq(chmod(path, 0640), 0);
	ck_assert_int_eq(priv_read(path, &user), 0);
	user.group_count = 1;
	ck_assert_int_eq(priv_read(path, &user), -EACCES);
	ck_assert_uint_eq(geteuid(), 0);
	ck_assert_int_eq(getgroups(8, after), 2);
	ck_assert_mem_eq(after, before, sizeof before);
	unlink(path);
	ck_assert_int_eq(priv_read(path, &user), -ENOENT);
}
END_TEST

START_TEST(test_default_user)
{
	const char *why;
	const struct passwd *user = getpwnam("cidlb");

	if (geteuid() != 0)
		return;
	if (!user) {
		uid_t uid;
		gid_t gid;

		ck_assert_int_eq(priv_owner(NULL, &uid, &gid), -ENOENT);
		ck_assert_int_eq(priv_drop(NULL, &why), -ENOENT);
		ck_assert_uint_eq(getuid(), 0);
		return;
	}
	uid_t uid = user->pw_uid;
	ck_assert_int_eq(priv_drop(NULL, &why), 0);
	ck_assert_uint_eq(getuid(), uid);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, test_drop);
	tcase_add_test(tests, test_twice_does_nothing);
	tcase_add_test(tests, test_ambient_capabilities);
	tcase_add_test(tests, test_refused_users);
	tcase_add_test(tests, test_access);
	tcase_add_loop_test(tests, test_few_capabilities, 0, sizeof lacking / sizeof *lacking);
	tcase_add_test(tests, test_groups_that_stay);
	tcase_add_test(tests, test_read);
	tcase_add_test(tests, test_default_user);
}
