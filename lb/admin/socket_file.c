#include "admin/socket_file.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A container may keep root from giving anything away. Then it stays root's, who can still use it. */
static int give(const char *name, const struct admin_socket_path *path)
{
	return geteuid() == 0 && lchown(name, path->uid, path->gid) < 0 && errno != EPERM ? -errno : 0;
}

static int directory_make(const struct admin_socket_path *path)
{
	char directory[sizeof((struct sockaddr_un *)NULL)->sun_path];

	strcpy(directory, path->name);
	*strrchr(directory, '/') = '\0';
	if (!*directory)
		return 0;
	if (mkdir(directory, 0755) < 0)
		return errno == EEXIST ? 0 : -errno;
	return give(directory, path);
}

/* Removes the socket of a dead process. 0: nothing is at the name. Else -errno: why something is. */
static int name_clear(const struct sockaddr_un *name)
{
	struct stat file;
	int fd, err;

	if (lstat(name->sun_path, &file) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(file.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = connect(fd, (const struct sockaddr *)name, sizeof *name) < 0 ? -errno : 0;
	close(fd);
	if (err != -ECONNREFUSED)
		return err == 0 || err == -EAGAIN ? -EADDRINUSE : err;
	return unlink(name->sun_path) < 0 ? -errno : 0;
}

/* A bound descriptor, or -errno. */
static int socket_make(const struct sockaddr_un *name, const struct admin_socket_path *path, struct stat *file)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err;
	mode_t mask;

	if (fd < 0)
		return -errno;
	mask = umask(0117);
	err = bind(fd, (const struct sockaddr *)name, sizeof *name) < 0 ? -errno : 0;
	umask(mask);
	if (!err)
		err = lstat(name->sun_path, file) < 0 ? -errno : give(name->sun_path, path);
	if (err)
		close(fd);
	return err ? err : fd;
}

int socket_file_make(const struct sockaddr_un *name, const struct admin_socket_path *path, struct stat *file)
{
	int err = directory_make(path);

	if (!err)
		err = name_clear(name);
	return err ? err : socket_make(name, path, file);
}

void socket_file_remove(const struct sockaddr_un *name, const struct stat *file)
{
	struct stat now;

	if (file->st_ino && lstat(name->sun_path, &now) == 0 && now.st_ino == file->st_ino &&
	    now.st_dev == file->st_dev)
		unlink(name->sun_path);
}
