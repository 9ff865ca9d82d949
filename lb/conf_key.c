#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf_priv.h"

enum { KEY_OCTETS = 16 };

bool conf_user_find(struct conf_reader *reader, const struct conf_value *value)
{
	struct conf_user *user = &reader->user;
	char quoted[CONF_QUOTE_OCTETS];
	const struct passwd *entry;

	if (geteuid() != 0)
		return true;
	entry = getpwnam(value->text ? value->text : "cidlb");
	if (!entry && !value->text)
		entry = getpwnam("nobody");
	if (!entry) {
		if (value->text)
			conf_error(reader, value->place, "no such user: %s", conf_quote(quoted, value->text));
		else
			conf_error(reader, value->place, "missing, and neither cidlb nor nobody exists");
		return false;
	}
	user->group_count = sizeof user->groups / sizeof *user->groups;
	if (getgrouplist(entry->pw_name, entry->pw_gid, user->groups, &user->group_count) < 0) {
		user->groups[0] = entry->pw_gid;
		user->group_count = 1;
	}
	user->uid = entry->pw_uid;
	user->other = user->uid != 0;
	return true;
}

static bool user_may(const struct conf_user *user, const struct stat *st, mode_t others_bit)
{
	if (st->st_uid == user->uid)
		return st->st_mode & (others_bit << 6);
	for (int i = 0; i < user->group_count; i++)
		if (st->st_gid == user->groups[i])
			return st->st_mode & (others_bit << 3);
	return st->st_mode & others_bit;
}

bool conf_user_reads(const struct conf_user *user, const char *path)
{
	char real[PATH_MAX];
	struct stat st;

	if (!user->other)
		return access(path, R_OK) == 0;
	if (!realpath(path, real) || stat(real, &st) < 0 || !user_may(user, &st, S_IROTH))
		return false;
	for (char *slash; (slash = strrchr(real, '/'));) {
		*slash = '\0';
		if (stat(*real ? real : "/", &st) < 0 || !user_may(user, &st, S_IXOTH))
			return false;
	}
	return true;
}

/* Trailing white space is what an editor or openssl leaves behind. */
static bool parse_key(const char *text, uint8_t key[static KEY_OCTETS])
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const size_t len = strspn(text, digits);

	if (len != 2 * KEY_OCTETS || text[len + strspn(text + len, " \t\r\n")] != '\0')
		return false;
	for (size_t i = 0; i < len; i++) {
		const unsigned digit = (unsigned)(strchr(digits, text[i]) - digits) % 16;
		key[i / 2] = (uint8_t)((unsigned)key[i / 2] << 4 | digit);
	}
	return true;
}

/* Why the file at `path` gives no key; NULL: it does. Not blocked by a FIFO, not fooled by a change between check and use. */
static const char *read_key_file(const struct conf_user *user, const char *path, uint8_t key[static KEY_OCTETS])
{
	char text[128];
	struct stat st;
	const char *why = NULL;
	ssize_t n;

	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return strerror(errno);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		why = "not a file";
	else if (st.st_mode & S_IRWXO)
		why = "others can access it; chmod o-rwx it";
	else if (!conf_user_reads(user, path))
		why = "the user that cidlb runs as cannot read it";
	else if ((n = read(fd, text, sizeof text - 1)) < 0)
		why = strerror(errno);
	else {
		text[n] = '\0';
		if (!parse_key(text, key))
			why = "not 32 hex digits; make one with: openssl rand -hex 16";
		explicit_bzero(text, sizeof text);
	}
	close(fd);
	return why;
}

bool conf_key_read(struct conf_reader *reader, const struct conf_value *value, uint8_t key[static KEY_OCTETS])
{
	char path[PATH_MAX], quoted[CONF_QUOTE_OCTETS];
	const char *slash = strrchr(reader->file, '/');
	const char *why;

	if (!value->text)
		return false;
	if (*value->text != '@') {
		if (parse_key(value->text, key))
			return true;
		conf_error(reader, value->place, "not 32 hex digits nor \"@FILE\"; make one with: openssl rand -hex 16");
		return false;
	}
	const char *name = value->text + 1;
	const int dir_len = *name == '/' || !slash ? 0 : (int)(slash + 1 - reader->file);
	if (snprintf(path, sizeof path, "%.*s%s", dir_len, reader->file, name) >= (int)sizeof path)
		why = strerror(ENAMETOOLONG);
	else
		why = read_key_file(&reader->user, path, key);
	if (why)
		conf_error(reader, value->place, "%s: %s", conf_quote(quoted, name), why);
	return !why;
}

bool conf_key_is_exposed(struct conf_reader *reader, const struct conf_value *value)
{
	if (!reader->shared || !value->text || *value->text == '@')
		return false;
	conf_error(reader, value->place, "others can access this file; chmod o-rwx it, or put the key into a file of its own: \"@FILE\"");
	return true;
}
