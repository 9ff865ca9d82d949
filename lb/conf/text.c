#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/read.h"
#include "conf/token.h"

enum { TEXT_MAX_OCTETS = 4 << 20 };

static int read_all(int fd, char *text, size_t *len)
{
	ssize_t n;

	*len = 0;
	do {
		n = read(fd, text + *len, TEXT_MAX_OCTETS + 1 - *len);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			*len += (size_t)n;
	} while (n != 0 && *len <= TEXT_MAX_OCTETS);
	return *len > TEXT_MAX_OCTETS ? -EFBIG : 0;
}

int conf_text_read(const char *file, char **out, struct conf_access *access)
{
	char *text = NULL;
	size_t len = 0;
	int err;

	const int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = conf_access_read(fd, access);
	if (!err && !(text = malloc(TEXT_MAX_OCTETS + 2)))
		err = -ENOMEM;
	if (!err && (err = read_all(fd, text, &len)) == 0) {
		text[len] = '\0';
		if (strlen(text) != len)
			err = -EILSEQ;
	}
	close(fd);
	if (err) {
		conf_text_free(text, len);
		return err;
	}
	*out = text;
	return 0;
}

const char *conf_text_begin(const char *text)
{
	static const char mark[] = "\xef\xbb\xbf";

	return text + (strncmp(text, mark, strlen(mark)) == 0 ? strlen(mark) : 0);
}

void conf_text_free(char *text, size_t octets)
{
	if (text)
		explicit_bzero(text, octets);
	free(text);
}

static void note_include(const char *text, const char *at, int *line)
{
	if (*line || strncmp(at, "@include", strlen("@include")) != 0)
		return;
	*line = 1;
	for (; text < at; text++)
		*line += *text == '\n';
}

/* Writes the text in quotes that takes `span` octets at `at`, as libconfig would read it. Returns what is behind its
 * final NUL. */
static char *string_read(char *to, const char *at, size_t span)
{
	static const char letters[] = "nrtf", means[] = "\n\r\t\f", digits[] = "0123456789abcdef";

	for (size_t i = 1; i + 1 < span; i++) {
		const char *letter = strchr(letters, at[i + 1]);
		char c = at[i];

		if (c == '\\' && (at[i + 1] == '\\' || at[i + 1] == '"'))
			c = at[++i];
		else if (c == '\\' && letter)
			c = means[letter - letters], i++;
		else if (c == '\\' && (at[i + 1] == 'x' || at[i + 1] == 'X') && isxdigit((unsigned char)at[i + 2]) &&
			 isxdigit((unsigned char)at[i + 3])) {
			c = (char)((strchr(digits, tolower((unsigned char)at[i + 2])) - digits) * 16 +
				   (strchr(digits, tolower((unsigned char)at[i + 3])) - digits));
			i += 3;
		}
		if (c)
			*to++ = c;
	}
	*to++ = '\0';
	return to;
}

struct rewriting {
	char *to;
	struct conf_strings *strings;
	bool joins; /* a text in quotes here belongs to that before it */
};

static void put(struct rewriting *out, const char *text, size_t n)
{
	memcpy(out->to, text, n);
	out->to += n;
}

static void put_newlines(struct rewriting *out, const char *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (at[i] == '\n')
			*out->to++ = '\n';
}

/* A text without its end stays one, so that it is refused. */
static void put_string(struct rewriting *out, const char *at, size_t n, bool ends)
{
	struct conf_strings *strings = out->strings;

	if (ends && out->joins) {
		strings->len--;
	} else {
		*out->to++ = '"';
		out->to += ends ? sprintf(out->to, "%zu", strings->len) : 0;
	}
	put_newlines(out, at, n);
	if (ends && !out->joins)
		*out->to++ = '"';
	if (ends)
		strings->len = (size_t)(string_read(strings->octets + strings->len, at, n) - strings->octets);
}

/* Rewrites the token at `at`, and returns its octets. */
static size_t put_token(struct rewriting *out, const char *at)
{
	bool ends, joins = false;
	int64_t value;
	size_t n;

	if ((n = token_string(at, &ends))) {
		put_string(out, at, n, ends);
		joins = true;
	} else if ((n = token_comment(at))) {
		*out->to++ = ' ';
		put_newlines(out, at, n);
		joins = out->joins;
	} else if ((n = token_name(at))) {
		const bool known =
			token_is_set(at + n) || token_is_word(at, n, "true") || token_is_word(at, n, "false");
		put(out, known ? at : "x", known ? n : 1);
	} else if ((n = token_float(at))) {
		put(out, " 0.5 ", 5);
	} else if ((n = token_integer(at, &value))) {
		/* A number that a letter follows is none. It may be the beginning of a key whose quotes were forgotten.
		 */
		out->to += sprintf(out->to, " %" PRId64 "L ", token_name(at + n) ? 0 : value);
	} else {
		n = 1;
		put(out, at, n);
		joins = out->joins && strchr(TOKEN_BLANKS, *at);
	}
	out->joins = joins;
	return n;
}

char *conf_text_rewrite(const char *text, struct conf_strings *strings, int *include_line)
{
	enum { GROWTH = 5 }; /* "" becomes "1234567", and . becomes 0.5 between blanks */
	const size_t octets = strlen(text) + 1;
	char *const whole = malloc(GROWTH * octets + sizeof "\n");
	struct rewriting out = { .to = whole, .strings = strings };

	*include_line = 0;
	*strings = (struct conf_strings){ .octets = malloc(octets), .room = octets };
	if (!whole || !strings->octets) {
		free(whole);
		conf_strings_free(strings);
		return NULL;
	}
	for (const char *at = conf_text_begin(text); *at; at += put_token(&out, at))
		note_include(text, at, include_line);
	*out.to = '\0';
	return whole;
}

void conf_strings_free(struct conf_strings *strings)
{
	if (strings->octets)
		explicit_bzero(strings->octets, strings->room);
	free(strings->octets);
	*strings = (struct conf_strings){ 0 };
}

const char *conf_text_of(const struct conf_reader *reader, const config_setting_t *setting)
{
	const char *number = setting ? config_setting_get_string(setting) : NULL;

	return number ? reader->strings.octets + strtoul(number, NULL, 10) : NULL;
}
