#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/hex.h"
#include "conf/read.h"

enum { HASH_KEY_OCTETS = 16 };

struct key {
	uint8_t *octets;
	size_t min, max, len;        /* octets */
	const char *wanted, *advice; /* for messages */
};

bool conf_user_find(struct conf_reader *reader, const struct conf_value *value)
{
	struct conf_user *user = &reader->user;
	char quoted[CONF_QUOTE_OCTETS];
	const struct passwd *entry;

	if (geteuid() != 0)
		return true;
	errno = 0;
	entry = getpwnam(value->text ? value->text : "cidlb");
	if (!entry && !value->text)
		entry = getpwnam("nobody");
	if (!entry && errno == ENOMEM) {
		reader->no_memory = true;
		return false;
	}
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

/* Editors and openssl leave white space at the end. */
static bool parse_key(const char *text, struct key *key)
{
	const size_t digits = hex_span(text);

	if (digits < 2 * key->min || text[digits + strspn(text + digits, " \t\r\n")] != '\0' ||
	    hex_read(key->octets, key->max, text, digits) < 0)
		return false;
	key->len = digits / 2;
	return true;
}

/* Returns why the file at `path` cannot be taken. NULL: it is read, and *parsed tells whether it has the key. A FIFO
 * does not block it, and a change between check and use does not fool it. */
static const char *read_key_file(const struct conf_user *user, const char *path, struct key *key, bool *parsed)
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
		*parsed = parse_key(text, key);
		explicit_bzero(text, sizeof text);
	}
	close(fd);
	return why;
}

static bool read_key(struct conf_reader *reader, const struct conf_value *value, struct key *key)
{
	char path[PATH_MAX], quoted[CONF_QUOTE_OCTETS];
	const char *slash = strrchr(reader->file, '/');
	const char *why;
	bool parsed = false;

	if (!value->text)
		return false;
	if (*value->text != '@') {
		if (parse_key(value->text, key))
			return true;
		conf_error(reader, value->place, "not %s nor \"@FILE\"%s", key->wanted, key->advice);
		return false;
	}
	const char *name = value->text + 1;
	const int dir_len = *name == '/' || !slash ? 0 : (int)(slash + 1 - reader->file);
	if (snprintf(path, sizeof path, "%.*s%s", dir_len, reader->file, name) >= (int)sizeof path)
		why = strerror(ENAMETOOLONG);
	else
		why = read_key_file(&reader->user, path, key, &parsed);
	if (why)
		conf_error(reader, value->place, "%s: %s", conf_quote(quoted, name), why);
	else if (!parsed)
		conf_error(reader, value->place, "%s: not %s%s", conf_quote(quoted, name), key->wanted, key->advice);
	return parsed;
}

bool conf_key_read(struct conf_reader *reader, const struct conf_value *value, uint8_t octets[static HASH_KEY_OCTETS])
{
	struct key key = { .octets = octets,
			   .min = HASH_KEY_OCTETS,
			   .max = HASH_KEY_OCTETS,
			   .wanted = "32 hex digits",
			   .advice = "; make one with: openssl rand -hex 16" };

	return read_key(reader, value, &key);
}

bool conf_psk_read(struct conf_reader *reader, const struct conf_value *value, uint8_t octets[static CONF_PSK_OCTETS],
		   uint8_t *len)
{
	struct key key = {
		.octets = octets, .min = 1, .max = CONF_PSK_OCTETS, .wanted = "hex digits of 1..32 octets", .advice = ""
	};
	_Static_assert(CONF_PSK_OCTETS == 32, "as the message says");

	if (!read_key(reader, value, &key))
		return false;
	*len = (uint8_t)key.len;
	return true;
}

bool conf_key_is_exposed(struct conf_reader *reader, const struct conf_value *value)
{
	if (!reader->shared || !value->text || *value->text == '@')
		return false;
	conf_error(reader, value->place,
		   "others can access this file; chmod o-rwx it, or put the key into a file of its own: \"@FILE\"");
	return true;
}
