#include "resp.h"

#include <errno.h>

enum { NUMBER_DIGITS = 18 /* fewer than could overflow */ };

/* Takes a line up to CR LF. 1: *line is it; 0: it is not whole yet; -EBADMSG: it is too long, or has a lone CR. */
static int take_line(struct bytes *in, struct bytes *line)
{
	const size_t look = in->left < RESP_LINE_OCTETS ? in->left : RESP_LINE_OCTETS;
	const uint8_t *cr = memchr(in->at, '\r', look);

	if (!cr)
		return in->left < RESP_LINE_OCTETS ? 0 : -EBADMSG;
	*line = (struct bytes){ in->at, (size_t)(cr - in->at) };
	if (line->left + 2 > in->left)
		return 0;
	if (cr[1] != '\n')
		return -EBADMSG;
	(void)bytes_take(in, line->left + 2);
	return 1;
}

static bool read_number(struct bytes text, int64_t *out)
{
	const bool negative = text.left > 0 && *text.at == '-';

	*out = 0;
	if (negative)
		(void)bytes_take(&text, 1);
	if (text.left == 0 || text.left > NUMBER_DIGITS)
		return false;
	for (; text.left > 0; (void)bytes_take(&text, 1)) {
		if (*text.at < '0' || *text.at > '9')
			return false;
		*out = *out * 10 + (*text.at - '0');
	}
	*out = negative ? -*out : *out;
	return true;
}

/* The octets of a text, and the CR LF behind them. */
static int take_text(struct bytes *in, struct resp_item *out)
{
	const uint8_t *end;

	if (out->number > RESP_MAX_OCTETS)
		return -EBADMSG;
	out->len = (size_t)out->number;
	if (in->left < out->len + 2)
		return 0;
	out->octets = bytes_take(in, out->len);
	end = bytes_take(in, 2);
	return end[0] == '\r' && end[1] == '\n' ? 1 : -EBADMSG;
}

/* 1: *out is the item; 0: it is not whole yet; -EBADMSG: it is none. */
static int take_item(struct bytes *in, struct resp_item *out)
{
	const uint8_t *type = bytes_take(in, 1);
	struct bytes line;
	int taken;

	if (!type)
		return 0;
	if (!memchr("+-:$*", *type, 5))
		return -EBADMSG;
	taken = take_line(in, &line);
	if (taken <= 0)
		return taken;
	*out = (struct resp_item){ .octets = line.at, .len = line.left };
	switch (*type) {
	case '+':
		out->type = RESP_STATUS;
		return 1;
	case '-':
		out->type = RESP_ERROR;
		return 1;
	case ':':
		out->type = RESP_NUMBER;
		return read_number(line, &out->number) ? 1 : -EBADMSG;
	default:
		if (!read_number(line, &out->number) || out->number < -1)
			return -EBADMSG;
		out->type = out->number < 0 ? RESP_NOTHING : *type == '$' ? RESP_TEXT : RESP_ARRAY;
		return out->type == RESP_TEXT ? take_text(in, out) : 1;
	}
}

/* Items that are still to come, by depth. */
struct left {
	int64_t of[RESP_DEPTH + 1];
	int depth;
};

/* Takes note of an item. False: it is nested too deeply, or has more items than a reply has octets. */
static bool count(struct left *left, const struct resp_item *item)
{
	left->of[left->depth]--;
	if (item->type == RESP_ARRAY) {
		if (left->depth == RESP_DEPTH || item->number > RESP_MAX_OCTETS)
			return false;
		left->of[++left->depth] = item->number;
	}
	while (left->depth > 0 && left->of[left->depth] == 0)
		left->depth--;
	return true;
}

long resp_reply_octets(const uint8_t *data, size_t len)
{
	struct bytes in = { data, len < RESP_MAX_OCTETS ? len : RESP_MAX_OCTETS };
	struct left left = { .of = { 1 } };
	struct resp_item item;
	int taken = 1;

	while (left.of[0] > 0 || left.depth > 0) {
		taken = take_item(&in, &item);
		if (taken == 0)
			return len < RESP_MAX_OCTETS ? 0 : -EBADMSG;
		if (taken < 0 || !count(&left, &item))
			return -EBADMSG;
	}
	return (long)(in.at - data);
}

bool resp_next(struct bytes *in, struct resp_item *out)
{
	return take_item(in, out) == 1;
}

int64_t resp_next_array(struct bytes *in)
{
	struct resp_item item;

	return resp_next(in, &item) && item.type == RESP_ARRAY ? item.number : -1;
}

bool resp_next_text(struct bytes *in, char *out, size_t room)
{
	struct resp_item item;

	if (!resp_next(in, &item) || item.type != RESP_TEXT || item.len >= room || memchr(item.octets, '\0', item.len))
		return false;
	memcpy(out, item.octets, item.len);
	out[item.len] = '\0';
	return true;
}

bool resp_skip(struct bytes *in)
{
	struct resp_item item;
	int64_t due = 1;

	for (; due > 0; due--) {
		if (!resp_next(in, &item))
			return false;
		if (item.type == RESP_ARRAY)
			due += item.number;
	}
	return true;
}
