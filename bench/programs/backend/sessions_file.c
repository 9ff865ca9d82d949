#include "bench/programs/backend/sessions_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mbedtls/platform_util.h>

#include "bench/lib/random.h"
#include "bench/programs/backend/pack.h"

enum { VERSION = 2, MAGIC_OCTETS = 8, NAMES = 100 };
static const char magic[MAGIC_OCTETS] = { 'c', 'i', 'd', 'l', 'b', 's', 'e', 's' };

/* FILE, a word, and something that no other process says. */
static int private_name(char out[static PATH_MAX], const char *file, const char *word)
{
	uint64_t number;

	int err = random_octets(NULL, (uint8_t *)&number, sizeof number);
	if (err)
		return err;
	int len = snprintf(out, PATH_MAX, "%s.%s-%016llx", file, word, (unsigned long long)number);
	return len < 0 || len >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* Renames `from` to the first of FILE, FILE.1 … that is free. */
static int place(const char *from, const char *file, char placed[static PATH_MAX])
{
	for (int i = 0; i < NAMES; i++) {
		int len = i ? snprintf(placed, PATH_MAX, "%s.%d", file, i) : snprintf(placed, PATH_MAX, "%s", file);
		if (len < 0 || len >= PATH_MAX)
			return -ENAMETOOLONG;
		if (renameat2(AT_FDCWD, from, AT_FDCWD, placed, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static int sync_folder(const char *file)
{
	const char *slash = strrchr(file, '/');
	char folder[PATH_MAX] = ".";

	if (slash)
		snprintf(folder, sizeof folder, "%.*s", slash == file ? 1 : (int)(slash - file), file);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int err = fsync(fd) ? -errno : 0;
	close(fd);
	return err;
}

/* An inode's number can be used again once a file is gone; its time of birth tells the two apart (0 where a file system
 * knows none). */
static int make_header(uint8_t out[static SESSIONS_FILE_HEADER_OCTETS], int fd)
{
	struct pack header = { .out = out, .size = SESSIONS_FILE_HEADER_OCTETS };
	struct statx stat = { 0 };

	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &stat))
		return -errno;
	if (!(stat.stx_mask & STATX_BTIME))
		memset(&stat.stx_btime, 0, sizeof stat.stx_btime);
	pack_octets(&header, magic, MAGIC_OCTETS);
	pack_number(&header, VERSION, 2);
	pack_number(&header, stat.stx_dev_major, 4);
	pack_number(&header, stat.stx_dev_minor, 4);
	pack_number(&header, stat.stx_ino, 8);
	pack_number(&header, (uint64_t)stat.stx_btime.tv_sec, 8);
	pack_number(&header, stat.stx_btime.tv_nsec, 4);
	return 0;
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t put = write(fd, data, len);
		if (put < 0 && errno != EINTR)
			return -errno;
		if (put > 0) {
			data += put;
			len -= (size_t)put;
		}
	}
	return 0;
}

void sessions_writer_drop(struct sessions_writer *writer)
{
	mbedtls_sha256_free(&writer->digest);
	close(writer->fd);
	unlink(writer->name);
}

int sessions_writer_open(struct sessions_writer *writer, const char *file)
{
	uint8_t header[SESSIONS_FILE_HEADER_OCTETS];

	int err = private_name(writer->name, file, "new");
	if (err)
		return err;
	writer->fd = open(writer->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
	if (writer->fd < 0)
		return -errno;
	mbedtls_sha256_init(&writer->digest);
	err = mbedtls_sha256_starts(&writer->digest, 0) ? -EIO : make_header(header, writer->fd);
	if (!err)
		err = sessions_writer_add(writer, header, sizeof header);
	if (err)
		sessions_writer_drop(writer);
	return err;
}

int sessions_writer_add(struct sessions_writer *writer, const void *data, size_t len)
{
	int err = write_all(writer->fd, data, len);

	return err || mbedtls_sha256_update(&writer->digest, data, len) == 0 ? err : -EIO;
}

int sessions_writer_finish(struct sessions_writer *writer, const char *file, char kept_as[static PATH_MAX])
{
	uint8_t digest[SESSIONS_FILE_DIGEST_OCTETS];

	int err = mbedtls_sha256_finish(&writer->digest, digest) ? -EIO : write_all(writer->fd, digest, sizeof digest);
	if (!err && fsync(writer->fd))
		err = -errno;
	if (!err)
		err = place(writer->name, file, kept_as);
	if (err) {
		sessions_writer_drop(writer);
		return err;
	}
	mbedtls_sha256_free(&writer->digest);
	close(writer->fd);
	sync_folder(file); /* best effort: it is complete, and a power failure may take it, but not make two of it */
	return 0;
}

/* Another name of the same file could be loaded a second time. */
static int check_kind(const struct stat *stat, const char **reason)
{
	*reason = !S_ISREG(stat->st_mode)               ? "no regular file"
		  : stat->st_uid != geteuid()           ? "it belongs to another user"
		  : stat->st_mode & (S_IRWXG | S_IRWXO) ? "others may read or write it"
		  : stat->st_nlink != 1                 ? "it has a second name"
							: NULL;
	return *reason ? -EACCES : 0;
}

static int check_content(struct sessions_reader *reader, int fd, const char **reason)
{
	uint8_t own[SESSIONS_FILE_HEADER_OCTETS], digest[SESSIONS_FILE_DIGEST_OCTETS];
	const size_t frame = SESSIONS_FILE_HEADER_OCTETS + SESSIONS_FILE_DIGEST_OCTETS;

	int err = make_header(own, fd);
	if (err)
		return err;
	*reason = "damaged: cut short";
	if (reader->len < frame)
		return -EBADMSG;
	*reason = "no file of sessions, or of another version";
	if (memcmp(reader->data, own, MAGIC_OCTETS + 2) != 0)
		return -EBADMSG;
	*reason = "damaged: its checksum is wrong";
	if (mbedtls_sha256(reader->data, reader->len - sizeof digest, digest, 0) ||
	    memcmp(reader->data + reader->len - sizeof digest, digest, sizeof digest) != 0)
		return -EBADMSG;
	*reason = "a copy";
	if (memcmp(reader->data, own, sizeof own) != 0)
		return -ESTALE;
	reader->content = reader->data + SESSIONS_FILE_HEADER_OCTETS;
	reader->content_len = reader->len - frame;
	*reason = NULL;
	return 0;
}

static int read_all(struct sessions_reader *reader, int fd, size_t size)
{
	reader->data = malloc(size ? size : 1);
	if (!reader->data)
		return -ENOMEM;
	while (reader->len < size) {
		ssize_t got = read(fd, reader->data + reader->len, size - reader->len);
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			break;
		if (got > 0)
			reader->len += (size_t)got;
	}
	return 0;
}

static int read_taken(struct sessions_reader *reader, const char **reason)
{
	struct stat stat;

	/* Before it is opened: a device may do something then, or there may be no right to. */
	if (lstat(reader->name, &stat))
		return -errno;
	int err = check_kind(&stat, reason);
	if (err)
		return err;
	int fd = open(reader->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = fstat(fd, &stat) ? -errno : check_kind(&stat, reason);
	if (!err && stat.st_size > SESSIONS_FILE_MAX_OCTETS)
		err = -EFBIG;
	if (!err)
		err = read_all(reader, fd, (size_t)stat.st_size);
	if (!err)
		err = check_content(reader, fd, reason);
	close(fd);
	return err;
}

int sessions_reader_take(struct sessions_reader *reader, const char *file, const char **reason)
{
	*reader = (struct sessions_reader){ 0 };
	*reason = NULL;
	int err = private_name(reader->name, file, "taken");
	if (!err && renameat2(AT_FDCWD, file, AT_FDCWD, reader->name, RENAME_NOREPLACE))
		err = -errno;
	if (err)
		reader->name[0] = '\0';
	else
		err = read_taken(reader, reason);
	if (err && !*reason)
		*reason = strerror(-err);
	return err;
}

int sessions_reader_remove(struct sessions_reader *reader)
{
	return unlink(reader->name) ? -errno : sync_folder(reader->name);
}

int sessions_reader_refuse(struct sessions_reader *reader, const char *file, char kept_as[static PATH_MAX])
{
	char refused[PATH_MAX];

	if (!reader->name[0])
		return -ENOENT;
	int len = snprintf(refused, sizeof refused, "%s.refused", file);
	return len < 0 || len >= PATH_MAX ? -ENAMETOOLONG : place(reader->name, refused, kept_as);
}

void sessions_reader_end(struct sessions_reader *reader)
{
	if (reader->data)
		mbedtls_platform_zeroize(reader->data, reader->len);
	free(reader->data);
	reader->data = NULL;
}
