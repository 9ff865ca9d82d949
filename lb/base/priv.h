/* Giving up root once every socket is bound and before any thread starts. */
#ifndef CIDLB_BASE_PRIV_H
#define CIDLB_BASE_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Who cidlb becomes if it is told nothing else. No other user takes its place: whoever shares a user with cidlb can
 * read its keys and its memory, and nobody is shared by many. */
#define PRIV_USER "cidlb"

enum { PRIV_GROUPS = 256 }; /* of one user; cidlb does without further ones */

/* A user with all its groups. */
struct priv_user {
	uid_t uid;
	gid_t gid;
	gid_t groups[PRIV_GROUPS]; /* gid is among them */
	size_t group_count;
};

/* Looks a user up (NULL: PRIV_USER). -ENOENT, -errno: there is none. */
int priv_find(const char *user, struct priv_user *out);

/* Tells whether root could become that user by priv_drop(): it does for a moment, so there must be only one thread.
 * Returns 0, or -errno with *why set to the sentence that priv_drop() has for it. */
int priv_try(const struct priv_user *user, const char **why);

/* Opens a file for reading, as that user, and closes it. What opens it counts: mode bits, access control lists,
 * directories. As priv_try(). Returns 0 or -errno. */
int priv_read(const char *path, const struct priv_user *user);

/* Tells whom priv_drop(user) becomes: the present user when not started as root. -ENOENT, -errno: there is no such
 * user. */
int priv_owner(const char *user, uid_t *uid, gid_t *gid);

/* access(2) for uid and gid. Root becomes them for that moment, so there must be only one thread; others ask as
 * themselves. Returns 0 or -errno. */
int priv_access(const char *path, int mode, uid_t uid, gid_t gid);

/* True: this process may bind the port, as far as its rights go. */
bool priv_binds(uint16_t port);

/* Becomes `user` (NULL: PRIV_USER): groups, gid, uid, no capabilities, no new privileges. Then verifies that root
 * cannot be had back. When not started as root it stays who it is, and gives up the capabilities that it was given. The
 * bounding set is cleared where that is permitted: without new privileges it means nothing. Returns 0, or -errno with
 * *why set to a sentence. */
int priv_drop(const char *user, const char **why);

#endif
