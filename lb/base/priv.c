#include "base/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* It is read before the drop: afterwards /etc may be out of reach. */
static const struct passwd *priv_find(const char *user)
{
	if (user)
		return getpwnam(user);
	const struct passwd *found = getpwnam("cidlb");
	return found ? found : getpwnam("nobody");
}

int priv_owner(const char *user, uid_t *uid, gid_t *gid)
{
	*uid = geteuid();
	*gid = getegid();
	if (*uid != 0)
		return 0;
	errno = 0;
	const struct passwd *to = priv_find(user);
	if (!to)
		return errno != 0 ? -errno : -ENOENT;
	*uid = to->pw_uid;
	*gid = to->pw_gid;
	return 0;
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

static int clear_bounding_set(void)
{
	for (unsigned long cap = 0;; cap++) {
		int has = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
		if (has < 0)
			return 0; /* past the kernel's last one */
		if (has == 1 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
			return -errno;
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

static int has_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct now[_LINUX_CAPABILITY_U32S_3];

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

int priv_drop(const char *user, const char **why)
{
	int err;

	*why = NULL;
	if (geteuid() != 0)
		return 0;

	errno = 0;
	const struct passwd *to = priv_find(user);
	if (!to)
		return fail(why, "no such user", errno != 0 ? -errno : -ENOENT);
	uid_t uid = to->pw_uid;
	gid_t gid = to->pw_gid;
	if (uid == 0 || gid == 0)
		return fail(why, "the user to become is root, or of root's group", -EINVAL);

	err = clear_bounding_set(); /* needs CAP_SETPCAP, so first */
	if (err)
		return fail(why, "cannot clear the capability bounding set", err);
	if (initgroups(to->pw_name, gid) != 0)
		return fail(why, "cannot take on the user's groups", -errno);
	if (setresgid(gid, gid, gid) != 0)
		return fail(why, "cannot take on the group", -errno);
	if (setresuid(uid, uid, uid) != 0)
		return fail(why, "cannot take on the user", -errno);
	err = clear_capabilities();
	if (err)
		return fail(why, "cannot give up capabilities", err);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return fail(why, "cannot set no_new_privs", -errno);
	err = priv_verify(uid, gid);
	return !err ? 0 : fail(why, "root could be had back after giving it up", err);
}
