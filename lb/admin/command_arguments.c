#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "admin/command_priv.h"
#include "common/hex.h"
#include "common/rendezvous.h"

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 1000, SECONDS_MAX = 3600, OLDER_MAX = 2000000 /* as nat.cid_idle_s */ };

static __attribute__((format(printf, 2, 3))) int refuse(struct request *request, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(request->refusal, sizeof request->refusal, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

static bool is_within(const json_t *value, json_int_t least, json_int_t most)
{
	return json_is_integer(value) && json_integer_value(value) >= least && json_integer_value(value) <= most;
}

static bool backend_is(const struct view_backend *backend, const char *name)
{
	const char *slash = strchr(name, '/');
	const size_t pool = slash ? (size_t)(slash - name) : 0;

	if (!slash)
		return strcmp(backend->name, name) == 0;
	return strlen(backend->pool_name) == pool && memcmp(backend->pool_name, name, pool) == 0 &&
	       strcmp(backend->name, slash + 1) == 0;
}

/* Finds the one backend of that name. */
static int read_backend(struct request *request, const json_t *value)
{
	const char *name = json_string_value(value);
	const size_t count = view_backend_count(request->control);
	struct view_backend one;
	size_t found = 0;

	if (!name)
		return refuse(request, "\"name\" is missing: a backend, or POOL/BACKEND");
	for (size_t at = 0; at < count; at++) {
		view_backend(request->control, at, &one);
		if (!backend_is(&one, name))
			continue;
		if (found++ > 0)
			return refuse(request, "%s is the name of several backends: say which, as in %s/%s", name,
				      request->backend.pool_name, name);
		request->backend = one;
	}
	return found ? 0 : refuse(request, "no backend is called %s; `cidlbctl backends` lists them", name);
}

static int read_backend_or_none(struct request *request, const json_t *value)
{
	request->has_backend = value != NULL;
	return value ? read_backend(request, value) : 0;
}

static int read_weight(struct request *request, const json_t *value)
{
	if (!is_within(value, 0, RENDEZVOUS_MAX_WEIGHT))
		return refuse(request, "a weight is a number of 0..%d", RENDEZVOUS_MAX_WEIGHT);
	request->weight = (uint16_t)json_integer_value(value);
	return 0;
}

/* 1..LBCID_MAX_OCTETS octets in hex. */
static int read_cid_or_none(struct request *request, const json_t *value)
{
	const char *hex = json_is_string(value) ? json_string_value(value) : "";
	const size_t digits = strlen(hex);

	if (!value)
		return 0;
	if (digits == 0 || hex_read(request->cid, LBCID_MAX_OCTETS, hex, digits) < 0)
		return refuse(request, "a CID is 1..20 octets in hex");
	request->cid_len = digits / 2;
	request->cid_text = hex;
	return 0;
}

static int read_from_or_none(struct request *request, const json_t *value)
{
	const char *text = json_string_value(value);

	if (!value)
		return 0;
	if (!text || (addr_parse(&request->from, text) != 0 && addr_parse_ip(&request->from, text) != 0))
		return refuse(request, "an address is A.B.C.D, A.B.C.D:PORT, an IPv6 address or [IPV6]:PORT");
	request->from_text = text;
	return 0;
}

static int read_limit_or_none(struct request *request, const json_t *value)
{
	if (value && !is_within(value, 1, LIMIT_MAX))
		return refuse(request, "a limit is a number of 1..%d", LIMIT_MAX);
	request->limit = value ? (size_t)json_integer_value(value) : LIMIT_DEFAULT;
	return 0;
}

static int read_seconds(struct request *request, const json_t *value)
{
	if (!is_within(value, 1, SECONDS_MAX))
		return refuse(request, "a trace lasts 1..%d seconds", SECONDS_MAX);
	request->seconds = (uint32_t)json_integer_value(value);
	return 0;
}

static int read_follow_or_none(struct request *request, const json_t *value)
{
	if (value && !json_is_boolean(value))
		return refuse(request, "\"follow\" is true or false");
	request->follow = json_is_true(value);
	return 0;
}

static int read_older_or_none(struct request *request, const json_t *value)
{
	if (value && !is_within(value, 1, OLDER_MAX))
		return refuse(request, "older than 1..%d seconds", OLDER_MAX);
	request->older_s = value ? (uint32_t)json_integer_value(value) : 0;
	return 0;
}

static int read_sort_or_none(struct request *request, const json_t *value)
{
	static const char *const keys[] = {
		[FLOWS_MOST_MOVES] = "moves", [FLOWS_MOST_OCTETS] = "octets", [FLOWS_LONGEST_SILENT] = "last"
	};
	const char *key = json_string_value(value);

	request->order = FLOWS_ANY_ORDER;
	if (!value)
		return 0;
	for (enum flows_order order = FLOWS_MOST_MOVES; key && order <= FLOWS_LONGEST_SILENT; order++)
		if (strcmp(keys[order], key) == 0)
			request->order = order;
	return request->order ? 0 : refuse(request, "flows are sorted by moves, octets or last");
}

const struct argument argument_backend = { "name", read_backend };
const struct argument argument_backend_or_none = { "name", read_backend_or_none };
const struct argument argument_weight = { "weight", read_weight };
const struct argument argument_cid_or_none = { "cid", read_cid_or_none };
const struct argument argument_follow_or_none = { "follow", read_follow_or_none };
const struct argument argument_from_or_none = { "from", read_from_or_none };
const struct argument argument_limit_or_none = { "limit", read_limit_or_none };
const struct argument argument_older_or_none = { "older_s", read_older_or_none };
const struct argument argument_sort_or_none = { "sort", read_sort_or_none };
const struct argument argument_seconds = { "seconds", read_seconds };
