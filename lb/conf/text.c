#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "conf/read.h"

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

int conf_text_read(const char *file, char **out, mode_t *mode)
{
	char *text = NULL;
	struct stat st;
	size_t len = 0;
	int err = 0;

	const int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (!(text = malloc(TEXT_MAX_OCTETS + 2)))
		err = -ENOMEM;
	else if ((err = read_all(fd, text, &len)) == 0) {
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
	*mode = st.st_mode;
	return 0;
}

void conf_text_free(char *text, size_t octets)
{
	if (text)
		explicit_bzero(text, octets);
	free(text);
}

/* The following functions know libconfig's tokens. Each returns how many octets its kind of token takes at `at`. 0:
 * there is none. */

/* *ends: it does before the file does. */
static size_t string_span(const char *at, bool *ends)
{
	size_t n = 1;

	if (*at != '"')
		return 0;
	while (at[n] && at[n] != '"')
		n += at[n] == '\\' && at[n + 1] ? 2 : 1;
	*ends = at[n];
	return n + *ends;
}

static size_t comment_span(const char *at)
{
	const char *end;

	if (*at == '#' || (at[0] == '/' && at[1] == '/'))
		return strcspn(at, "\n");
	if (at[0] != '/' || at[1] != '*')
		return 0;
	end = strstr(at + 2, "*/");
	return end ? (size_t)(end + 2 - at) : strlen(at);
}

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz*"
#define DIGITS  "0123456789"
#define BLANKS  " \t\r\n\f"

static size_t name_span(const char *at)
{
	return strspn(at, LETTERS) ? strspn(at, LETTERS DIGITS "_-") : 0;
}

static size_t exponent_span(const char *at)
{
	const size_t sign = at[0] && (at[1] == '-' || at[1] == '+');
	const size_t digits = *at == 'e' || *at == 'E' ? strspn(at + 1 + sign, DIGITS) : 0;

	return digits ? 1 + sign + digits : 0;
}

static size_t float_span(const char *at)
{
	const size_t sign = *at == '-' || *at == '+';
	const size_t whole = sign + strspn(at + sign, DIGITS);
	size_t n = whole;

	if (at[n] == '.')
		n += 1 + strspn(at + n + 1, DIGITS);
	else if (whole == sign)
		return 0;
	n += exponent_span(at + n);
	return n > whole ? n : 0;
}

static size_t integer_span(const char *at, int64_t *value)
{
	const bool hex = at[0] == '0' && (at[1] == 'x' || at[1] == 'X') && strspn(at + 2, DIGITS "abcdefABCDEF");
	const size_t sign = *at == '-' || *at == '+';
	char *end;

	if (!strspn(at + sign, DIGITS))
		return 0;
	*value = strtoll(at, &end, hex ? 16 : 10);
	for (int i = 0; i < 2 && *end == 'L'; i++)
		end++;
	return (size_t)(end - at);
}

static void note_include(const char *text, const char *at, int *line)
{
	if (*line || strncmp(at, "@include", strlen("@include")) != 0)
		return;
	*line = 1;
	for (; text < at; text++)
		*line += *text == '\n';
}

/* Whether the name before `at` is that of a setting. */
static bool is_set(const char *at)
{
	size_t n;

	while ((n = strspn(at, BLANKS)) || (n = comment_span(at)))
		at += n;
	return *at == '=' || *at == ':';
}

static bool is_word(const char *at, size_t n, const char *word)
{
	return n == strlen(word) && strncasecmp(at, word, n) == 0;
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

	if ((n = string_span(at, &ends))) {
		put_string(out, at, n, ends);
		joins = true;
	} else if ((n = comment_span(at))) {
		*out->to++ = ' ';
		put_newlines(out, at, n);
		joins = out->joins;
	} else if ((n = name_span(at))) {
		const bool known = is_set(at + n) || is_word(at, n, "true") || is_word(at, n, "false");
		put(out, known ? at : "x", known ? n : 1);
	} else if ((n = float_span(at))) {
		put(out, " 0.5 ", 5);
	} else if ((n = integer_span(at, &value))) {
		/* A number that a letter follows is none. It may be the beginning of a key whose quotes were forgotten.
		 */
		out->to += sprintf(out->to, " %" PRId64 "L ", name_span(at + n) ? 0 : value);
	} else {
		n = 1;
		put(out, at, n);
		joins = out->joins && strchr(BLANKS, *at);
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
	for (const char *at = text; *at; at += put_token(&out, at))
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
