#include "conf/access.h"

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <sys/xattr.h>

/* The list as the kernel gives it: le32 version, then entries. See include/uapi/linux/posix_acl_xattr.h. */
struct entry {
	uint16_t tag, permissions;
	uint32_t id;
};

_Static_assert(sizeof(struct entry) == 8, "as the kernel has it");

enum {
	HEAD_OCTETS = 4,
	VERSION = 2,
	TAG_USER = 0x02,
	TAG_GROUP = 0x08,
	TAG_MASK = 0x10, /* what named users and groups may have at most */
	ALL = 7,
	ENTRIES_MAX = CONF_ACCESS_NAMED + 4, /* owner, group, mask and others beside those named */
};

static struct entry entry_at(const uint8_t *list, size_t i)
{
	struct entry entry;

	memcpy(&entry, list + HEAD_OCTETS + i * sizeof entry, sizeof entry);
	return (struct entry){ le16toh(entry.tag), le16toh(entry.permissions), le32toh(entry.id) };
}

static void list_read(const uint8_t *list, size_t octets, struct conf_access *out)
{
	const size_t count = (octets - HEAD_OCTETS) / sizeof(struct entry);
	unsigned mask = ALL;

	for (size_t i = 0; i < count; i++)
		if (entry_at(list, i).tag == TAG_MASK)
			mask = entry_at(list, i).permissions;
	for (size_t i = 0; i < count; i++) {
		const struct entry entry = entry_at(list, i);

		if ((entry.tag != TAG_USER && entry.tag != TAG_GROUP) || !(entry.permissions & mask))
			continue;
		if (out->named_count < CONF_ACCESS_NAMED)
			out->named[out->named_count] = (struct conf_named){ entry.tag == TAG_GROUP, entry.id };
		out->named_count++;
	}
}

int conf_access_read(int fd, struct conf_access *out)
{
	uint8_t list[HEAD_OCTETS + ENTRIES_MAX * sizeof(struct entry)];
	struct stat st;
	uint32_t version;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	*out = (struct conf_access){ .uid = st.st_uid, .gid = st.st_gid, .mode = st.st_mode };
	n = fgetxattr(fd, "system.posix_acl_access", list, sizeof list);
	if (n < 0) {
		/* A list that is longer names too many. Otherwise there is none, or the file system has none. */
		out->named_count = errno == ERANGE ? CONF_ACCESS_NAMED + 1 : 0;
		return 0;
	}
	memcpy(&version, list, sizeof version);
	if ((size_t)n < HEAD_OCTETS || le32toh(version) != VERSION)
		out->named_count = CONF_ACCESS_NAMED + 1;
	else
		list_read(list, (size_t)n, out);
	return 0;
}

static bool is_of(const struct conf_named *named, const gid_t *groups, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (named->id == groups[i])
			return true;
	return false;
}

static bool is_other(const struct conf_access *access, const struct conf_named *named, const struct conf_user *user)
{
	gid_t own[PRIV_GROUPS];
	const int count = getgroups(PRIV_GROUPS, own);

	if (named->id == 0)
		return false;
	if (!named->is_group)
		return named->id != access->uid && named->id != geteuid() &&
		       !(user->other && named->id == user->as.uid);
	return named->id != access->gid && named->id != getegid() &&
	       !is_of(named, own, count < 0 ? 0 : (size_t)count) &&
	       !(user->other && is_of(named, user->as.groups, user->as.group_count));
}

enum conf_others conf_access_others(const struct conf_access *access, const struct conf_user *user)
{
	if (access->mode & S_IRWXO)
		return CONF_OTHERS_BY_MODE;
	if (access->named_count > CONF_ACCESS_NAMED)
		return CONF_OTHERS_BY_LIST;
	for (size_t i = 0; i < access->named_count; i++)
		if (is_other(access, &access->named[i], user))
			return CONF_OTHERS_BY_LIST;
	return CONF_OTHERS_NONE;
}
