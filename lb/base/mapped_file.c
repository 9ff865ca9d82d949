#include "base/mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(struct mapped_file *out, int err)
{
	mapped_file_close(out);
	return err;
}

/* out->fd is open, and the file has out->octets. */
static int lock_and_map(struct mapped_file *out)
{
	struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(out->fd, F_OFD_SETLK, &all) < 0)
		return fail(out, errno == EACCES ? -EAGAIN : -errno);
	out->memory = mmap(NULL, out->octets, PROT_READ | PROT_WRITE, MAP_SHARED, out->fd, 0);
	if (out->memory == MAP_FAILED) {
		const int err = -errno;

		out->memory = NULL;
		return fail(out, err);
	}
	return 0;
}

int mapped_file_open(struct mapped_file *out, const char *file)
{
	struct stat there;

	/* O_NONBLOCK: a FIFO would wait for its writer. */
	*out = (struct mapped_file){ .fd = open(file, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) };
	if (out->fd < 0)
		return errno == ELOOP ? -EINVAL : -errno;
	if (fstat(out->fd, &there) < 0)
		return fail(out, -errno);
	if (!S_ISREG(there.st_mode) || there.st_size == 0)
		return fail(out, -EINVAL);
	out->octets = (size_t)there.st_size;
	return lock_and_map(out);
}

/* As the directory is cidlb's, so is what is in it. */
static int give_away(int fd, const char *file)
{
	char directory[PATH_MAX];
	const char *slash = strrchr(file, '/');
	struct stat of;

	if (geteuid() != 0 || !slash || slash - file >= PATH_MAX)
		return 0;
	memcpy(directory, file, (size_t)(slash - file));
	directory[slash - file] = '\0';
	if (stat(slash == file ? "/" : directory, &of) < 0 || fchown(fd, of.st_uid, of.st_gid) < 0)
		return errno == EPERM ? 0 : -errno;
	return 0;
}

int mapped_file_make(struct mapped_file *out, const char *file, size_t octets)
{
	int err;

	*out = (struct mapped_file){ .fd = -1 };
	if (unlink(file) < 0 && errno != ENOENT)
		return -errno;
	out->fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out->fd < 0)
		return -errno;
	out->octets = octets;
	/* A hole would be an error of the bus once the disk is full. */
	err = fallocate(out->fd, 0, 0, (off_t)octets) < 0 ? -errno : give_away(out->fd, file);
	if (!err)
		err = lock_and_map(out);
	else
		(void)fail(out, err);
	if (err)
		(void)unlink(file);
	return err;
}

void mapped_file_close(struct mapped_file *file)
{
	if (file->memory)
		(void)munmap(file->memory, file->octets);
	if (file->fd >= 0)
		(void)close(file->fd);
	*file = (struct mapped_file){ .fd = -1 };
}
