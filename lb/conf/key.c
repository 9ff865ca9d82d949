#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/priv.h"
#include "common/hex.h"
#include "conf/read.h"

enum { HASH_KEY_OCTETS = 16, FILE_OCTETS = 256 };

struct key {
	uint8_t *octets;
	size_t min, max, len;        /* octets */
	bool plain;                  /* the text itself, not hex */
	const char *wanted, *advice; /* for messages */
};

bool conf_user_find(struct conf_reader *reader, const struct conf_value *value)
{
	struct conf_user *user = &reader->user;
	const char *name = value->text ? value->text : PRIV_USER, *why;
	char quoted[CONF_QUOTE_OCTETS];
	int err;

	if (geteuid() != 0)
		return true;
	conf_quote(quoted, name);
	if (!*name) {
		conf_error(reader, value->place, "empty; accepted: the name of a user");
		return false;
	}
	err = priv_find(name, &user->as);
	if (err == -ENOMEM)
		reader->no_memory = true;
	else if (err)
		conf_error(reader, value->place, "no such user: %s; make it with: useradd --system %s, or name another",
			   quoted, quoted);
	else if ((err = priv_try(&user->as, &why)))
		conf_error(reader, value->place, "%s: %s: %s; name another, or start cidlb as a user that is not root",
			   quoted, why, strerror(-err));
	user->other = !err;
	return !err;
}

size_t conf_password_span(const char *text)
{
	size_t len = 0;

	while (text[len] >= ' ' && text[len] <= '~')
		len++;
	return len;
}

static bool parse_plain(const char *text, struct key *key)
{
	const size_t span = conf_password_span(text);
	size_t len = span;

	while (len > 0 && text[len - 1] == ' ')
		len--;
	if (len < key->min || len > key->max || text[span + strspn(text + span, " \t\r\n")] != '\0')
		return false;
	memcpy(key->octets, text, len);
	key->len = len;
	return true;
}

/* Editors and openssl leave white space at the end. */
static bool parse_key(const char *text, struct key *key)
{
	const size_t digits = hex_span(text);

	if (key->plain)
		return parse_plain(text, key);
	if (digits < 2 * key->min || text[digits + strspn(text + digits, " \t\r\n")] != '\0' ||
	    hex_read(key->octets, key->max, text, digits) < 0)
		return false;
	key->len = digits / 2;
	return true;
}

static const char *const others_why[] = {
	[CONF_OTHERS_BY_MODE] = "others can access it; chmod o-rwx it",
	[CONF_OTHERS_BY_LIST] = "its access control list lets others access it; setfacl -b it",
};

/* Returns why the file at `path` cannot be taken. NULL: it is read, and *parsed tells whether it has the key. A FIFO
 * does not block it, and a change between check and use does not fool it. */
static const char *read_key_file(const struct conf_user *user, const char *path, struct key *key, bool *parsed)
{
	char text[FILE_OCTETS];
	struct conf_access access;
	enum conf_others others;
	const char *why = NULL;
	ssize_t n;

	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return strerror(errno);
	if (conf_access_read(fd, &access) < 0 || !S_ISREG(access.mode))
		why = "not a file";
	else if ((others = conf_access_others(&access, user)))
		why = others_why[others];
	else if (user->other && priv_read(path, &user->as) != 0)
		why = "the user that cidlb runs as cannot read it";
	else if ((n = read(fd, text, sizeof text - 1)) < 0)
		why = strerror(errno);
	else {
		text[n] = '\0';
		*parsed = parse_key(conf_text_begin(text), key);
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

bool conf_password_read(struct conf_reader *reader, const struct conf_value *value,
			uint8_t octets[static CONF_PASSWORD_OCTETS], uint8_t *len)
{
	struct key key = { .octets = octets,
			   .min = 1,
			   .max = CONF_PASSWORD_OCTETS,
			   .plain = true,
			   .wanted = "a password of 1..128 printable octets",
			   .advice = "" };
	_Static_assert(CONF_PASSWORD_OCTETS == 128, "as the message says");

	if (!read_key(reader, value, &key))
		return false;
	*len = (uint8_t)key.len;
	return true;
}

bool conf_key_is_exposed(struct conf_reader *reader, const struct conf_value *value)
{
	static const char *const why[] = {
		[CONF_OTHERS_BY_MODE] = "others can access this file; chmod o-rwx it",
		[CONF_OTHERS_BY_LIST] = "the access control list of this file lets others access it; setfacl -b it",
	};
	enum conf_others others;

	if (!value->text || *value->text == '@')
		return false;
	others = conf_access_others(&reader->access, &reader->user);
	if (others)
		conf_error(reader, value->place, "%s, or put the key into a file of its own: \"@FILE\"", why[others]);
	return others;
}
