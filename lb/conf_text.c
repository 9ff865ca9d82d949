#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf_priv.h"

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
	size_t len;
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
		free(text);
		return err;
	}
	*out = text;
	*mode = st.st_mode;
	return 0;
}

/* The following know libconfig's tokens: each returns the octets that its kind of token takes at `at`, 0: none there. */

static size_t string_span(const char *at)
{
	size_t n = 1;

	if (*at != '"')
		return 0;
	while (at[n] && at[n] != '"')
		n += at[n] == '\\' && at[n + 1] ? 2 : 1;
	return at[n] ? n + 1 : n;
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

char *conf_text_widen(const char *text, int *include_line)
{
	enum { GROWTH = 4 }; /* "0" becomes "0L " */
	char *const out = malloc(GROWTH * strlen(text) + sizeof "\n");
	const char *at = text;
	char *to = out;
	int64_t value;
	size_t n;

	*include_line = 0;
	if (!out)
		return NULL;
	while (*at) {
		if ((n = string_span(at)) || (n = comment_span(at)) || (n = name_span(at)) || (n = float_span(at))) {
			memcpy(to, at, n);
			to += n;
		} else if ((n = integer_span(at, &value))) {
			to += sprintf(to, "%" PRId64 "L ", value);
		} else {
			note_include(text, at, include_line);
			*to++ = *at;
			n = 1;
		}
		at += n;
	}
	/* libconfig takes a comment that ends with the file for a syntax error. */
	if (to > out && to[-1] != '\n')
		*to++ = '\n';
	*to = '\0';
	return out;
}
