/* A small file of state that is replaced as a whole: whoever reads it, also after a crash at any moment, meets the old
 * one or the new one. A file that is a mount of its own (in a container) cannot be replaced, and is overwritten. Then
 * the disk's crash in the middle of that is the one moment that can damage it.
 */
#ifndef CIDLB_BASE_STATE_FILE_H
#define CIDLB_BASE_STATE_FILE_H

#include <limits.h>
#include <stddef.h>

#include <sys/types.h>

enum { STATE_FILE_MAX_OCTETS = 16 << 20 };

/* Whose directory the file is in. */
enum state_directory { STATE_DIRECTORY_OWN /* cidlb's */, STATE_DIRECTORY_OTHER };

/* As root, before privileges are dropped: makes the directory of `file` if only that is missing, and gives it to uid
 * and gid; cidlb's own is given over in any case. Then, as whoever calls: 0 if uid may replace the file or overwrite
 * it, else -errno. Only while there is one thread. */
int state_file_prepare(const char *file, enum state_directory whose, uid_t uid, gid_t gid);

/* All of it, with a NUL behind, to be freed. -ENOENT; -EINVAL: no regular file (nor is a link followed); -EFBIG;
 * -errno. */
int state_file_read(const char *file, char **text, size_t *octets);

/* Replaces it durably (mode 0644 less the umask), or overwrites it where it cannot be replaced. -errno: what was there
 * stays; only if the directory's own fsync failed it is the new one, though perhaps not after a loss of power. */
int state_file_write(const char *file, const char *text, size_t octets);

/* Renames it to FILE.bad, FILE.bad.1, …, whichever is free, written to `aside`. What cannot be renamed is copied there,
 * and stays. -EEXIST: none is; -errno. */
int state_file_set_aside(const char *file, char aside[static PATH_MAX]);

#endif
