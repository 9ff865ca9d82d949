#include "xdp/pins.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#define BPF_FS "/sys/fs/bpf"
#define PARENT "cidlb"

static const mode_t only_owner = 0700;

/* A directory in another one, or -errno. */
static int directory_open(int in, const char *name, uid_t uid, gid_t gid)
{
	int fd, err;

	if (mkdirat(in, name, only_owner) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(in, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (geteuid() != 0 || fchown(fd, uid, gid) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int parent_open(uid_t uid, gid_t gid)
{
	struct statfs kind;
	int root = open(BPF_FS, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

	if (root < 0)
		return -errno;
	fd = fstatfs(root, &kind) < 0 ? -errno : kind.f_type != BPF_FS_MAGIC ? -ENODEV : 0;
	if (fd == 0)
		fd = directory_open(root, PARENT, uid, gid);
	close(root);
	return fd;
}

int fast_pin_open(struct fast_pin *out, uint32_t ifindex, uid_t uid, gid_t gid)
{
	struct stat space;
	int err;

	*out = FAST_NO_PIN;
	if (stat("/proc/thread-self/ns/net", &space) < 0)
		return -errno;
	snprintf(out->name, sizeof out->name, "%" PRIu64 "-%" PRIu32, (uint64_t)space.st_ino, ifindex);
	out->parent = parent_open(uid, gid);
	out->directory = out->parent < 0 ? out->parent : directory_open(out->parent, out->name, uid, gid);
	err = out->directory < 0 ? out->directory : 0;
	if (!err && flock(out->directory, LOCK_EX | LOCK_NB) < 0)
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (!err)
		return 0;
	if (out->directory >= 0)
		close(out->directory);
	if (out->parent >= 0)
		close(out->parent);
	*out = FAST_NO_PIN;
	return err;
}

const char *fast_pin_path(char out[static FAST_PIN_PATH_OCTETS], const struct fast_pin *pin, const char *mode)
{
	snprintf(out, FAST_PIN_PATH_OCTETS, "/proc/self/fd/%d/%s", pin->directory, mode);
	return out;
}

bool fast_pin_has(const struct fast_pin *pin, const char *mode)
{
	return pin->directory >= 0 && faccessat(pin->directory, mode, F_OK, 0) == 0;
}

void fast_pin_remove(const struct fast_pin *pin, const char *mode)
{
	if (pin->directory >= 0)
		(void)unlinkat(pin->directory, mode, 0);
}

void fast_pin_close(struct fast_pin *pin)
{
	if (pin->directory < 0)
		return;
	fast_pin_remove(pin, "native");
	fast_pin_remove(pin, "generic");
	(void)unlinkat(pin->parent, pin->name, AT_REMOVEDIR);
	close(pin->directory);
	close(pin->parent);
	*pin = FAST_NO_PIN;
}
