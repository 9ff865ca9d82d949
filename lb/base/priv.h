/* Giving up root once every socket is bound and before any thread starts. */
#ifndef CIDLB_BASE_PRIV_H
#define CIDLB_BASE_PRIV_H

#include <sys/types.h>

/* Tells whom priv_drop(user) becomes: the present user when not started as root. -ENOENT, -errno: there is no such
 * user. */
int priv_owner(const char *user, uid_t *uid, gid_t *gid);

/* access(2) for uid and gid. Root becomes them for that moment, so there must be only one thread; others ask as
 * themselves. Returns 0 or -errno. */
int priv_access(const char *path, int mode, uid_t uid, gid_t gid);

/* Becomes `user` (NULL: cidlb if it exists, else nobody): groups, gid, uid, no capabilities, no new privileges. Then
 * verifies that root cannot be had back. Does nothing when not started as root. Returns 0, or -errno with *why set to a
 * sentence. */
int priv_drop(const char *user, const char **why);

#endif
