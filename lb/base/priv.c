#include "base/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* They are read before the drop: afterwards /etc may be out of reach. */
int priv_find(const char *user, struct priv_user *out)
{
	int count = PRIV_GROUPS;

	errno = 0;
	const struct passwd *entry = getpwnam(user ? user : PRIV_USER);
	if (!entry)
		return errno != 0 ? -errno : -ENOENT;
	out->uid = entry->pw_uid;
	out->gid = entry->pw_gid;
	if (getgrouplist(entry->pw_name, entry->pw_gid, out->groups, &count) < 0)
		count = PRIV_GROUPS;
	out->group_count = (size_t)count;
	return 0;
}

int priv_owner(const char *user, uid_t *uid, gid_t *gid)
{
	struct priv_user to;
	int err;

	*uid = geteuid();
	*gid = getegid();
	if (*uid != 0)
		return 0;
	err = priv_find(user, &to);
	if (err)
		return err;
	*uid = to.uid;
	*gid = to.gid;
	return 0;
}

/* The steps that can be refused: priv_drop() takes them for good, priv_try() for a moment. */
static const char no_groups[] = "cannot take on the user's groups", no_group[] = "cannot take on the group",
		  no_user[] = "cannot take on the user";

static bool has_group(const struct priv_user *user, gid_t gid)
{
	for (size_t i = 0; i < user->group_count; i++)
		if (user->groups[i] == gid)
			return true;
	return false;
}

/* A user namespace may forbid setgroups(). That is no loss where the process has no groups but the user's. */
static bool has_only_groups_of(const struct priv_user *user)
{
	gid_t now[PRIV_GROUPS];
	const int count = getgroups(PRIV_GROUPS, now);

	for (int i = 0; i < count; i++)
		if (!has_group(user, now[i]))
			return false;
	return count >= 0;
}

static int take_groups(const struct priv_user *user)
{
	const int err = setgroups(user->group_count, user->groups) == 0 ? 0 : -errno;

	return err == -EPERM && has_only_groups_of(user) ? 0 : err;
}

/* What root is by half, and how it comes back. */
struct former {
	gid_t gid, groups[PRIV_GROUPS];
	int group_count;
};

/* Who is root by half must do nothing more. */
static void become_root(const struct former *former)
{
	if (seteuid(0) != 0 || setegid(former->gid) != 0)
		abort();
	/* Fails only where it did so before. */
	if (former->group_count >= 0)
		(void)setgroups((size_t)former->group_count, former->groups);
}

static int become(const struct priv_user *user, struct former *former, const char **why)
{
	int err;

	former->gid = getegid();
	former->group_count = getgroups(PRIV_GROUPS, former->groups);
	*why = no_groups;
	err = former->group_count < 0 ? -errno : take_groups(user);
	if (err)
		return err;
	*why = no_group;
	if (setegid(user->gid) != 0)
		return -errno;
	*why = no_user;
	if (seteuid(user->uid) != 0)
		return -errno;
	*why = NULL;
	return 0;
}

/* Root would keep all that it may. */
static bool is_root(const struct priv_user *user)
{
	return user->uid == 0 || user->gid == 0;
}

static int refuse_root(const char **why)
{
	*why = "the user to become is root, or of root's group";
	return -EINVAL;
}

int priv_try(const struct priv_user *user, const char **why)
{
	struct former former;
	int err;

	if (is_root(user))
		return refuse_root(why);
	err = become(user, &former, why);
	become_root(&former);
	return err;
}

int priv_read(const char *path, const struct priv_user *user)
{
	struct former former;
	const char *why;
	int err = become(user, &former, &why);

	if (!err) {
		/* A FIFO does not block it. */
		const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

		err = fd < 0 ? -errno : 0;
		if (fd >= 0)
			close(fd);
	}
	become_root(&former);
	return err;
}

int priv_access(const char *path, int mode, uid_t uid, gid_t gid)
{
	bool root = geteuid() == 0;
	gid_t before = getegid();
	int err = 0;

	if (root && (setegid(gid) != 0 || seteuid(uid) != 0))
		err = -errno;
	if (err == 0 && faccessat(AT_FDCWD, path, mode, AT_EACCESS) != 0)
		err = -errno;
	/* Who is root by half must do nothing more. */
	if (root && (seteuid(0) != 0 || setegid(before) != 0))
		abort();
	return err;
}

/* Needs CAP_SETPCAP, which a container may lack. */
static int clear_bounding_set(void)
{
	for (unsigned long cap = 0;; cap++) {
		int has = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
		if (has < 0)
			return 0; /* past the kernel's last one */
		if (has == 1 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
			return errno == EPERM ? 0 : -errno;
	}
}

static int clear_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
		return -errno;
	return syscall(SYS_capset, &header, none) == 0 ? 0 : -errno;
}

bool priv_binds(uint16_t port)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct now[_LINUX_CAPABILITY_U32S_3];
	FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
	unsigned first = 1024;

	if (file) {
		if (fscanf(file, "%u", &first) != 1)
			first = 1024;
		fclose(file);
	}
	return port >= first || syscall(SYS_capget, &header, now) != 0 ||
	       now[0].effective & (1U << CAP_NET_BIND_SERVICE);
}

static int has_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct now[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	if (syscall(SYS_capget, &header, now) != 0)
		return 1;
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		if ((now[i].effective | now[i].permitted | now[i].inheritable) != 0)
			return 1;
	}
	return 0;
}

/* Checks again what the calls above have returned. */
static int priv_verify(uid_t uid, gid_t gid)
{
	uid_t ruid, euid, suid;
	gid_t rgid, egid, sgid;

	if (setuid(0) == 0 || setgid(0) == 0)
		return -EPERM;
	if (getresuid(&ruid, &euid, &suid) != 0 || ruid != uid || euid != uid || suid != uid)
		return -EPERM;
	if (getresgid(&rgid, &egid, &sgid) != 0 || rgid != gid || egid != gid || sgid != gid)
		return -EPERM;
	return has_capabilities() || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 ? -EPERM : 0;
}

static int fail(const char **why, const char *sentence, int err)
{
	*why = sentence;
	return err;
}

/* What is not the user's: ambient capabilities of a unit, for one. */
static int drop_rights(const char **why)
{
	const int err = clear_capabilities();

	if (err)
		return fail(why, "cannot give up capabilities", err);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return fail(why, "cannot set no_new_privs", -errno);
	return 0;
}

int priv_drop(const char *user, const char **why)
{
	struct priv_user to;
	int err;

	*why = NULL;
	if (geteuid() != 0)
		return drop_rights(why);
	err = priv_find(user, &to);
	if (err)
		return fail(why, "no such user", err);
	if (is_root(&to))
		return refuse_root(why);
	err = clear_bounding_set(); /* first, as long as it may */
	if (err)
		return fail(why, "cannot clear the capability bounding set", err);
	err = take_groups(&to);
	if (err)
		return fail(why, no_groups, err);
	if (setresgid(to.gid, to.gid, to.gid) != 0)
		return fail(why, no_group, -errno);
	if (setresuid(to.uid, to.uid, to.uid) != 0)
		return fail(why, no_user, -errno);
	err = drop_rights(why);
	if (err)
		return err;
	err = priv_verify(to.uid, to.gid);
	return !err ? 0 : fail(why, "root could be had back after giving it up", err);
}
