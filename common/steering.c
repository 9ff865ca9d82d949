#include "steering.h"

#include <string.h>

/* A word of the answer's first line. It is never empty, and has no separator in it. */
struct word {
	const uint8_t *at;
	size_t len; /* octets */
};

const struct steering steering_none = { .admin = BACKEND_READY, .percent = 100 };

static bool is_one_of(uint8_t c, const char *set)
{
	return c != '\0' && strchr(set, c);
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static bool word_begins(const struct word *word, const char *name)
{
	const size_t len = strlen(name);

	if (word->len < len)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (lower(word->at[i]) != (uint8_t)name[i])
			return false;
	}
	return true;
}

static bool word_is(const struct word *word, const char *name)
{
	return word->len == strlen(name) && word_begins(word, name);
}

static bool number_read(uint64_t *out, const uint8_t *at, size_t len)
{
	*out = 0;
	for (size_t i = 0; i < len; i++) {
		const uint64_t digit = (uint64_t)at[i] - '0';

		if (digit > 9 || *out > (UINT64_MAX - digit) / 10)
			return false;
		*out = 10 * *out + digit;
	}
	return len > 0;
}

static bool id_read(struct server_id *out, const struct cid_layout *layout, const struct word *word)
{
	char hex[2 * LBCID_MAX_ID_OCTETS + 1] = "";
	uint64_t number;

	if (!word_begins(word, "id:0x"))
		return number_read(&number, word->at + 3, word->len - 3) &&
		       cid_id_from_number(out, layout, number) == 0;
	if (word->len - 5 >= sizeof hex || memchr(word->at, '\0', word->len))
		return false;
	memcpy(hex, word->at + 5, word->len - 5);
	return cid_id_from_hex(out, layout, hex) == 0;
}

/* What a word is to its line. */
enum taken { WORD_COUNTS, WORD_SKIPPED /* it has the form of one that could count */, WORD_IS_PROSE };

static bool all_digits(const uint8_t *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (at[i] < '0' || at[i] > '9')
			return false;
	return len > 0;
}

static enum taken id_take(struct steering *out, const struct cid_layout *layout, const struct word *word)
{
	struct server_id id;

	if (!id_read(&id, layout, word))
		return WORD_SKIPPED;
	for (size_t i = 0; i < out->id_count; i++) {
		if (memcmp(out->ids[i].octets, id.octets, id.len) == 0)
			return WORD_COUNTS;
	}
	if (out->id_count == STEERING_IDS)
		return WORD_SKIPPED;
	out->ids[out->id_count++] = id;
	return WORD_COUNTS;
}

static enum taken percent_take(struct steering *out, const struct word *word)
{
	uint64_t percent;

	if (!number_read(&percent, word->at, word->len - 1) || percent > 100)
		return WORD_SKIPPED;
	if (percent < out->percent)
		out->percent = (uint8_t)percent;
	return WORD_COUNTS;
}

static enum taken admin_take(struct steering *out, enum backend_admin admin)
{
	if (admin > out->admin)
		out->admin = admin;
	return WORD_COUNTS;
}

static enum taken down_take(struct steering *out)
{
	out->down = true;
	return WORD_COUNTS;
}

static enum taken word_take(struct steering *out, const struct cid_layout *layout, const struct word *word)
{
	if (word_is(word, "up"))
		return WORD_COUNTS;
	if (word_is(word, "down") || word_is(word, "fail") || word_is(word, "stopped"))
		return down_take(out);
	if (word_is(word, "ready"))
		return admin_take(out, BACKEND_READY);
	if (word_is(word, "drain"))
		return admin_take(out, BACKEND_DRAIN);
	if (word_is(word, "maint"))
		return admin_take(out, BACKEND_MAINT);
	if (word_begins(word, "id:"))
		return id_take(out, layout, word);
	if (word->at[word->len - 1] == '%' && all_digits(word->at, word->len - 1))
		return percent_take(out, word);
	if (word_begins(word, "maxconn:") && all_digits(word->at + 8, word->len - 8))
		return WORD_SKIPPED;
	return WORD_IS_PROSE;
}

static void word_show(char out[static STEERING_WORD_OCTETS], const struct word *word)
{
	const size_t shown = word->len < STEERING_WORD_OCTETS ? word->len : STEERING_WORD_OCTETS - 1;

	for (size_t i = 0; i < shown; i++)
		out[i] = word->at[i] > ' ' && word->at[i] < 0x7f ? (char)word->at[i] : '?';
	out[shown] = '\0';
	if (word->len > shown)
		memcpy(out + shown - 3, "...", 3);
}

/* The next word from *at on; *at then stands behind it. False: the line is over. */
static bool word_next(struct word *out, const uint8_t *text, size_t len, size_t *at)
{
	size_t begin;

	while (*at < len && is_one_of(text[*at], " \t,"))
		++*at;
	begin = *at;
	while (*at < len && !is_one_of(text[*at], " \t,\r\n#"))
		++*at;
	if (*at == begin)
		return false;
	*out = (struct word){ text + begin, *at - begin };
	return true;
}

bool steering_read(struct steering *out, const struct cid_layout *layout, const uint8_t *text, size_t len,
		   char unknown[static STEERING_WORD_OCTETS])
{
	struct word word;
	size_t at = 0;

	*out = steering_none;
	unknown[0] = '\0';
	if (!word_next(&word, text, len, &at) || is_one_of(word.at[0], "{[<"))
		return true;
	do {
		const enum taken taken = word_take(out, layout, &word);

		if (taken == WORD_IS_PROSE || (taken == WORD_SKIPPED && unknown[0] == '\0'))
			word_show(unknown, &word);
		if (taken == WORD_IS_PROSE) {
			*out = steering_none;
			return false;
		}
	} while (word_next(&word, text, len, &at));
	return true;
}
