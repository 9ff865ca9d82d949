#include "base/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/priv.h"

enum { ASIDE_MAX = 100 };

/* `file` is an absolute path. */
static int directory_of(const char *file, char directory[static PATH_MAX])
{
	size_t len = (size_t)(strrchr(file, '/') - file);

	if (len >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(directory, file, len);
	directory[len] = '\0';
	if (len == 0)
		strcpy(directory, "/");
	return 0;
}

static int directory_make(const char *directory, bool own, uid_t uid, gid_t gid)
{
	bool made = mkdir(directory, 0755) == 0;

	if (!made && errno != EEXIST)
		return -errno;
	/* systemd's StateDirectory= makes it root's for a service that starts as root. Where root may give nothing
	 * away, as in a container, it may be the user's already. */
	if (geteuid() == 0 && (made || own) && chown(directory, uid, gid) < 0 && errno != EPERM)
		return -errno;
	return 0;
}

int state_file_prepare(const char *file, enum state_directory whose, uid_t uid, gid_t gid)
{
	char directory[PATH_MAX];
	int err = directory_of(file, directory);

	if (!err)
		err = directory_make(directory, whose == STATE_DIRECTORY_OWN, uid, gid);
	if (!err)
		err = priv_access(directory, W_OK | X_OK, uid, gid);
	/* A file can be mounted by itself into a place where nothing else can be made. */
	return err && priv_access(file, W_OK, uid, gid) == 0 ? 0 : err;
}

static int read_all(int fd, char **text, size_t *octets)
{
	struct stat file;
	size_t room, len = 0;
	ssize_t got = 1;

	if (fstat(fd, &file) < 0)
		return -errno;
	if (!S_ISREG(file.st_mode))
		return -EINVAL;
	if (file.st_size > STATE_FILE_MAX_OCTETS)
		return -EFBIG;
	room = (size_t)file.st_size;
	*text = malloc(room + 1);
	if (!*text)
		return -ENOMEM;
	while (len < room && (got = read(fd, *text + len, room - len)) > 0)
		len += (size_t)got;
	(*text)[len] = '\0';
	*octets = len;
	return got < 0 ? -errno : 0;
}

int state_file_read(const char *file, char **text, size_t *octets)
{
	/* O_NONBLOCK: a FIFO would wait for its writer. */
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), err;

	*text = NULL;
	if (fd < 0)
		return errno == ELOOP ? -EINVAL : -errno;
	err = read_all(fd, text, octets);
	close(fd);
	if (err) {
		free(*text);
		*text = NULL;
	}
	return err;
}

static int write_all(int fd, const char *text, size_t octets)
{
	while (octets > 0) {
		ssize_t sent = write(fd, text, octets);

		if (sent < 0)
			return -errno;
		text += sent;
		octets -= (size_t)sent;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int temporary_write(const char *temporary, const char *text, size_t octets)
{
	int fd, err;

	if (unlink(temporary) < 0 && errno != ENOENT)
		return -errno;
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	err = write_all(fd, text, octets);
	if (close(fd) < 0 && !err)
		err = -errno;
	return err;
}

static int directory_sync(const char *file)
{
	char directory[PATH_MAX];
	int err = directory_of(file, directory), fd;

	if (err)
		return err;
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* EINVAL: a file system without it. */
	err = fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
	close(fd);
	return err;
}

static int replace(const char *file, const char *text, size_t octets)
{
	char temporary[PATH_MAX];
	int err;

	if (snprintf(temporary, sizeof temporary, "%s.tmp", file) >= (int)sizeof temporary)
		return -ENAMETOOLONG;
	err = temporary_write(temporary, text, octets);
	if (!err && rename(temporary, file) < 0)
		err = -errno;
	if (!err)
		return directory_sync(file);
	(void)unlink(temporary);
	return err;
}

/* Room comes first, so that a full disk leaves what was there. Blanks reach to its end, so that at no moment the rest
 * of a longer text stands behind a whole new one. */
static int overwrite_open(int fd, const char *text, size_t octets)
{
	struct stat there;
	size_t len;
	char *padded;
	int err;

	if (fstat(fd, &there) < 0)
		return -errno;
	if (!S_ISREG(there.st_mode))
		return -EINVAL;
	len = (size_t)there.st_size > octets ? (size_t)there.st_size : octets;
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)len) < 0 && errno != EOPNOTSUPP && errno != ENOSYS)
		return -errno;
	padded = malloc(len + 1);
	if (!padded)
		return -ENOMEM;
	memset(padded, ' ', len);
	memcpy(padded, text, octets);
	err = write_all(fd, padded, len);
	free(padded);
	if (!err && ftruncate(fd, (off_t)octets) < 0)
		err = -errno;
	return err;
}

static int overwrite(const char *file, const char *text, size_t octets)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), err;

	if (fd < 0)
		return -errno;
	err = overwrite_open(fd, text, octets);
	if (close(fd) < 0 && !err)
		err = -errno;
	return err;
}

/* True: the place lets no other file take the name, and the file itself may be writable. */
static bool stays_in_place(int err)
{
	return err == -EBUSY || err == -EROFS || err == -EACCES || err == -EPERM || err == -EXDEV;
}

int state_file_write(const char *file, const char *text, size_t octets)
{
	const int err = replace(file, text, octets);
	int in_place;

	if (!stays_in_place(err))
		return err;
	in_place = overwrite(file, text, octets);
	/* A mount is not what is wrong with a file that is one. */
	return in_place == 0 || err == -EBUSY ? in_place : err;
}

/* For a file that cannot be renamed, because it is a mount of its own. */
static int copy(const char *file, const char *to)
{
	size_t octets;
	char *text;
	int err = state_file_read(file, &text, &octets);

	if (!err)
		err = temporary_write(to, text, octets);
	free(text);
	if (err)
		(void)unlink(to);
	return err ? err : directory_sync(to);
}

int state_file_set_aside(const char *file, char aside[static PATH_MAX])
{
	struct stat there;

	for (int i = 0; i < ASIDE_MAX; i++) {
		int len = i == 0 ? snprintf(aside, PATH_MAX, "%s.bad", file)
				 : snprintf(aside, PATH_MAX, "%s.bad.%d", file, i);

		if (len >= PATH_MAX)
			return -ENAMETOOLONG;
		if (lstat(aside, &there) == 0)
			continue;
		if (errno != ENOENT)
			return -errno;
		if (rename(file, aside) == 0)
			return 0;
		return errno == EBUSY ? copy(file, aside) : -errno;
	}
	return -EEXIST;
}
