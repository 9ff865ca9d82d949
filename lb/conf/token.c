#include "conf/token.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz*"
#define DIGITS  "0123456789"

size_t token_string(const char *at, bool *ends)
{
	size_t n = 1;

	if (*at != '"')
		return 0;
	while (at[n] && at[n] != '"')
		n += at[n] == '\\' && at[n + 1] ? 2 : 1;
	*ends = at[n];
	return n + *ends;
}

size_t token_comment(const char *at)
{
	const char *end;

	if (*at == '#' || (at[0] == '/' && at[1] == '/'))
		return strcspn(at, "\n");
	if (at[0] != '/' || at[1] != '*')
		return 0;
	end = strstr(at + 2, "*/");
	return end ? (size_t)(end + 2 - at) : strlen(at);
}

size_t token_name(const char *at)
{
	return strspn(at, LETTERS) ? strspn(at, LETTERS DIGITS "_-") : 0;
}

static size_t exponent_span(const char *at)
{
	const size_t sign = at[0] && (at[1] == '-' || at[1] == '+');
	const size_t digits = *at == 'e' || *at == 'E' ? strspn(at + 1 + sign, DIGITS) : 0;

	return digits ? 1 + sign + digits : 0;
}

size_t token_float(const char *at)
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

size_t token_integer(const char *at, int64_t *value)
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

bool token_is_set(const char *at)
{
	size_t n;

	while ((n = strspn(at, TOKEN_BLANKS)) || (n = token_comment(at)))
		at += n;
	return *at == '=' || *at == ':';
}

bool token_is_word(const char *at, size_t n, const char *word)
{
	return n == strlen(word) && strncasecmp(at, word, n) == 0;
}
