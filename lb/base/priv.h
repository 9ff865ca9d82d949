/* Giving up root once every socket is bound and before any thread starts. */
#ifndef CIDLB_BASE_PRIV_H
#define CIDLB_BASE_PRIV_H

#include <sys/types.h>

/* Who priv_drop(user) becomes: oneself when not started as root. -ENOENT, -errno: no such user. */
int priv_owner(const char *user, uid_t *uid, gid_t *gid);

/* access(2) as uid and gid would have it, who are asked for by becoming them for that moment: only while there is one
 * thread. As who one is, when not root. 0 or -errno. */
int priv_access(const char *path, int mode, uid_t uid, gid_t gid);

/* Becomes `user` (NULL: cidlb if it exists, else nobody): groups, gid, uid, no capabilities, no new privileges; then
 * verifies that root cannot be had back. Does nothing when not started as root. Returns 0, or -errno with *why set to a
 * sentence. */
int priv_drop(const char *user, const char **why);

#endif
