/* Who may access a file that holds keys: by its mode, and by a POSIX access control list (setfacl). Control thread. */
#ifndef CIDLB_CONF_ACCESS_H
#define CIDLB_CONF_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include <sys/stat.h>
#include <sys/types.h>

#include "base/priv.h"

enum { CONF_ACCESS_NAMED = 32 };

/* A user or a group that a list names and lets do something. */
struct conf_named {
	bool is_group;
	id_t id;
};

/* As it was when it was read. All zero: nobody but root may access it. */
struct conf_access {
	uid_t uid;
	gid_t gid;
	mode_t mode;
	size_t named_count; /* may be more than fit into `named` */
	struct conf_named named[CONF_ACCESS_NAMED];
};

/* Who will read the key files at a reload: `user`, because cidlb is no longer root then. */
struct conf_user {
	bool other; /* it is not the user who runs now; else opening a file is the check */
	struct priv_user as;
};

/* Reads it of an open file. Returns 0 or -errno. */
int conf_access_read(int fd, struct conf_access *out);

enum conf_others { CONF_OTHERS_NONE, CONF_OTHERS_BY_MODE, CONF_OTHERS_BY_LIST };

/* Tells whether somebody besides `user` may access the file, and by what. The file's owner and group may, as root and
 * who runs now may. */
enum conf_others conf_access_others(const struct conf_access *access, const struct conf_user *user);

#endif
