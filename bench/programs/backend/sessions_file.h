/* The file that sessions wait in from one server to the next. Since two servers with the same sessions would use each
 * nonce twice, it is read once at most: a reader first takes it away under a name of its own, and removes it before
 * anything of it is used. The file carries its own device, inode and time of birth, so a copy is known for one;
 * renaming changes none of them.
 *
 *   magic "cidlbses" 8 | version 2 | device 8 | inode 8 | birth 12 | content | SHA-256 of all before 32
 *
 * Nobody but its owner can read it, ever. Nothing that exists is overwritten: there is FILE, or else FILE.1, FILE.2 …
 */
#ifndef CIDLB_BENCH_BACKEND_SESSIONS_FILE_H
#define CIDLB_BENCH_BACKEND_SESSIONS_FILE_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include <mbedtls/sha256.h>

enum {
	SESSIONS_FILE_HEADER_OCTETS = 38,
	SESSIONS_FILE_DIGEST_OCTETS = 32,
	SESSIONS_FILE_MAX_OCTETS = 128 << 20,
};

struct sessions_writer {
	int fd;
	char name[PATH_MAX]; /* until it is complete */
	mbedtls_sha256_context digest;
};

/* Each returns 0 or -errno. After a failure nothing is left of the file. The last call is one of the last two. */
int sessions_writer_open(struct sessions_writer *writer, const char *file);
int sessions_writer_add(struct sessions_writer *writer, const void *data, size_t len);
void sessions_writer_drop(struct sessions_writer *writer);
int sessions_writer_finish(struct sessions_writer *writer, const char *file, char kept_as[static PATH_MAX]);

struct sessions_reader {
	char name[PATH_MAX]; /* where it is now */
	uint8_t *data;       /* the whole file */
	size_t len;          /* octets */
	const uint8_t *content;
	size_t content_len; /* octets */
};

/* Takes `file` away, reads it and checks it. Returns 0 or -errno. -ENOENT: there is none, or another process has just
 * taken it, and nothing is to be ended. After any other error *reason says what is wrong, and sessions_reader_refuse()
 * is due. */
int sessions_reader_take(struct sessions_reader *reader, const char *file, const char **reason);

/* Removes the file for good, also if power fails. Returns 0 or -errno. After a failure nothing of it may be used. */
int sessions_reader_remove(struct sessions_reader *reader);

/* Sets the file aside as FILE.refused, or FILE.refused.1 … Returns 0 or -errno: it is still at reader->name. */
int sessions_reader_refuse(struct sessions_reader *reader, const char *file, char kept_as[static PATH_MAX]);

/* Wipes what was read. */
void sessions_reader_end(struct sessions_reader *reader);

#endif
