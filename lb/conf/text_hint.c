/* What is most likely wrong where libconfig says "syntax error". */
#include <string.h>

#include "conf/read.h"
#include "conf/token.h"

enum { DEPTH = 32 };

/* Kinds of tokens that are no sign of their own. */
enum { NAME = 'n', VALUE = 'v', BEGIN = 0 };

struct walk {
	const char *at; /* the token */
	int line;       /* that it begins in */
	char before;    /* the kind of the token before */
	size_t depth;
	char open[DEPTH]; /* the brackets that are open */
};

static char innermost(const struct walk *walk)
{
	return walk->depth ? walk->open[walk->depth - 1] : BEGIN;
}

static const char *hint_of_name(const struct walk *walk, size_t n)
{
	const char *next = walk->at + n + strspn(walk->at + n, TOKEN_BLANKS);

	if (token_is_set(walk->at + n))
		return innermost(walk) == '(' || innermost(walk) == '['
			       ? "settings in a list; accepted: { NAME = VALUE; } as its members"
			       : NULL;
	if (token_is_word(walk->at, n, "true") || token_is_word(walk->at, n, "false"))
		return NULL;
	if (walk->at[n] == '.')
		return "a name with a dot; accepted: NAME = { NAME = VALUE; };";
	if (strchr("=:,([", walk->before) && walk->before)
		return "a text without quotes; accepted: \"TEXT\"";
	return strchr("\"{([0123456789", *next) && *next ? "a name without =; accepted: NAME = VALUE;" : NULL;
}

static const char *hint_of_opening(const struct walk *walk)
{
	const char in = innermost(walk);

	if (in == '[')
		return "[ ] holds texts and numbers; accepted for groups: ( { ... }, { ... } )";
	if (in == '(' && walk->before != '(' && walk->before != ',')
		return "a comma is missing before it";
	return *walk->at == '{' && in != '(' && walk->before != '=' && walk->before != ':'
		       ? "a group without a name; accepted: NAME = { ... }; and for several ( { ... }, { ... } )"
		       : NULL;
}

static const char *hint_of_closing(const struct walk *walk)
{
	static const char pairs[] = "(){}[]";
	const char *closing = strchr(pairs, *walk->at);

	if (walk->depth == 0)
		return "a closing bracket too many";
	if (innermost(walk) != closing[-1])
		return "a closing bracket of another kind than the one that is open";
	return walk->before == ',' ? "a comma too many before it" : NULL;
}

/* Texts in a row are one text. */
static const char *hint_of_value(const struct walk *walk, size_t n)
{
	const bool in_list = innermost(walk) == '(' || innermost(walk) == '[';

	if (*walk->at != '"' && token_name(walk->at + n))
		return "a number with letters behind it; accepted: a number (the option's name has its unit), or "
		       "\"TEXT\"";
	if (walk->before == VALUE && *walk->at != '"')
		return "two values in a row; accepted: one number, or \"TEXT\"";
	return !in_list && walk->before != VALUE && walk->before != '=' && walk->before != ':'
		       ? "a value without a name; accepted: NAME = VALUE;"
		       : NULL;
}

/* `kind` is that of the token, and `n` its octets. */
static const char *hint_of_token(const struct walk *walk, char kind, size_t n)
{
	if (kind == NAME)
		return hint_of_name(walk, n);
	if (kind == VALUE)
		return hint_of_value(walk, n);
	if (*walk->at == '\'' || (unsigned char)*walk->at >= 0x80)
		return "a sign that is none of libconfig's; accepted for texts: \"TEXT\"";
	if (strchr("({[", kind))
		return hint_of_opening(walk);
	if (strchr(")}]", kind))
		return hint_of_closing(walk);
	if (kind == ';' && (innermost(walk) == '(' || innermost(walk) == '['))
		return "a list that is not closed";
	return walk->before == '=' || walk->before == ':' ? "a value is missing behind =" : NULL;
}

static void note(struct walk *walk, char kind)
{
	if (kind && strchr("({[", kind) && walk->depth < DEPTH)
		walk->open[walk->depth++] = kind;
	else if (kind && strchr(")}]", kind) && walk->depth > 0)
		walk->depth--;
	walk->before = kind;
}

static void pass(struct walk *walk, size_t n)
{
	for (; n > 0; n--, walk->at++)
		walk->line += *walk->at == '\n';
}

/* The kind of the token, and its octets. *ends: a text in quotes does before the file does. */
static char kind_of(const char *at, size_t *n, bool *ends)
{
	int64_t value;

	if ((*n = token_string(at, ends)))
		return VALUE;
	if ((*n = token_name(at)))
		return NAME;
	if ((*n = token_float(at)) || (*n = token_integer(at, &value)))
		return VALUE;
	*n = 1;
	return *at;
}

const char *conf_text_hint(const char *text, int error_line)
{
	struct walk walk = { .at = conf_text_begin(text), .line = 1 };
	const char *hint = NULL;
	bool ends = true;
	size_t n;

	while (!hint && *walk.at && walk.line <= error_line) {
		const int line = walk.line;

		if ((n = strspn(walk.at, TOKEN_BLANKS)) || (n = token_comment(walk.at))) {
			pass(&walk, n);
			continue;
		}
		const char kind = kind_of(walk.at, &n, &ends);
		if (line == error_line)
			hint = hint_of_token(&walk, kind, n);
		note(&walk, kind);
		pass(&walk, n);
		if (walk.line > line && (walk.line == error_line || !ends))
			hint = "a text in quotes that goes over several lines; is a \" missing?";
	}
	if (!hint && !*walk.at && walk.depth > 0)
		hint = "a bracket is not closed";
	return hint;
}
