#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/read.h"

enum {
	BACKEND_NAME,
	BACKEND_COUNT,
	BACKEND_ID,
	BACKEND_ID_BASE,
	BACKEND_MAY_CLAIM,
	BACKEND_ADDRESS,
	BACKEND_WEIGHT,
	BACKEND_STATE,
	BACKEND_OPTIONS
};

static const struct conf_option backend_options[BACKEND_OPTIONS] = {
	[BACKEND_NAME] = { "name", .type = CONF_TEXT, .required = true },
	[BACKEND_COUNT] = { "count", .type = CONF_NUMBER, .min = 1, .max = CONF_MAX_BACKENDS, .fallback = 0 },
	[BACKEND_ID] = { "id", .type = CONF_ANY },
	[BACKEND_ID_BASE] = { "id_base", .type = CONF_NUMBER, .min = 0, .max = INT64_MAX - 1, .fallback = 0 },
	[BACKEND_MAY_CLAIM] = { "may_claim", .type = CONF_ANY },
	[BACKEND_ADDRESS] = { "address", .type = CONF_TEXT, .required = true },
	[BACKEND_WEIGHT] = { "weight", .type = CONF_NUMBER, .min = 0, .max = RENDEZVOUS_MAX_WEIGHT, .fallback = 100 },
	[BACKEND_STATE] = { "state", .type = CONF_WORD,
			    .words = { [BACKEND_READY] = "ready",
				       [BACKEND_DRAIN] = "drain",
				       [BACKEND_MAINT] = "maint" } },
};

const struct conf_section conf_section_backend = { "pools.backends", backend_options, BACKEND_OPTIONS };

enum { NAME_ROOM = 512, LABEL_MAX = 63, HOST_MAX = 253 };

/* An entry of the file: one backend, or a numbered set of them. */
struct entry {
	struct conf_value values[BACKEND_OPTIONS];
	struct conf_place place;
	size_t at;    /* its index in the file */
	size_t count; /* of backends */
	bool set;
};

/* RFC 1123, and '_', which some names in the DNS have. */
bool conf_is_host(const char *text, size_t len)
{
	size_t label = 0;

	if (len > 0 && text[len - 1] == '.')
		len--;
	if (len == 0 || len > HOST_MAX)
		return false;
	for (size_t i = 0; i <= len; i++) {
		const char c = i < len ? text[i] : '.';
		const bool edge = label == 0 || i + 1 >= len || text[i + 1] == '.';
		if (c == '.' && (label == 0 || label > LABEL_MAX))
			return false;
		if (c != '.' && !(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && c != '_' &&
		    (c != '-' || edge))
			return false;
		label = c == '.' ? 0 : label + 1;
	}
	return true;
}

/* HOST:PORT has something in both places and no other colon. All digits and dots would be a mistyped address. */
static bool split_host(const char *text, size_t *host_len, uint16_t *port)
{
	const char *colon = strchr(text, ':');
	char any[NAME_ROOM];
	struct addr addr;

	if (!colon || colon == text || strspn(text, "0123456789.") == (size_t)(colon - text))
		return false;
	snprintf(any, sizeof any, "0.0.0.0%s", colon);
	if (addr_parse(&addr, any) < 0)
		return false;
	*host_len = (size_t)(colon - text);
	*port = addr.port;
	return true;
}

/* False: reported. */
static bool read_address(struct conf_reader *reader, struct conf_place place, const char *text,
			 struct conf_backend *backend)
{
	char quoted[CONF_QUOTE_OCTETS], numbered[ADDR_TEXT_OCTETS];
	size_t host_len;
	uint16_t port;

	if (!conf_address_text(reader, place, text, numbered))
		return false;
	if (addr_parse(&backend->addr, numbered) == 0) {
		if (addr_is_unicast(&backend->addr))
			return true;
		conf_error(reader, place, "%s: a backend needs an address of its own; accepted: that of one host",
			   conf_quote(quoted, text));
	} else if (conf_addr_report(reader, place, text)) {
		;
	} else if (!split_host(text, &host_len, &port)) {
		conf_error(reader, place, "%s is no address with port; accepted: A.B.C.D:PORT, [IPV6]:PORT, HOST:PORT",
			   conf_quote(quoted, text));
	} else if (!conf_is_host(text, host_len)) {
		conf_error(reader, place,
			   "%s: no host name; accepted: 1..%d letters, digits, '_' and inner '-' between dots, in all "
			   "at most %d",
			   conf_quote(quoted, text), LABEL_MAX, HOST_MAX);
	} else {
		backend->addr = (struct addr){ .port = port };
		backend->host = strndup(text, host_len);
		reader->no_memory |= !backend->host;
		for (char *c = backend->host; c && *c; c++)
			*c = (char)tolower((unsigned char)*c);
		return true;
	}
	backend->addr = (struct addr){ 0 };
	return false;
}

/* True: one %d and no other '%'. */
static bool is_pattern(const char *text)
{
	const char *percent = strchr(text, '%');

	return percent && percent[1] == 'd' && !strchr(percent + 1, '%');
}

/* Writes `pattern` with the number in place of its %d. False: too long. */
static bool expand(char out[static NAME_ROOM], const char *pattern, size_t number)
{
	const char *percent = strchr(pattern, '%');
	const int len = snprintf(out, NAME_ROOM, "%.*s%zu%s", (int)(percent - pattern), pattern, number, percent + 2);

	return len < NAME_ROOM;
}

/* The text of backend `i` of the entry in one of its options, or NULL: there is none, or (reported) it is wrong. */
static const char *text_of(struct conf_reader *reader, const struct entry *entry, int option, size_t i,
			   char room[static NAME_ROOM])
{
	const struct conf_value *value = &entry->values[option];
	char quoted[CONF_QUOTE_OCTETS];

	if (!value->text || !entry->set)
		return value->text;
	if (is_pattern(value->text) && expand(room, value->text, i))
		return room;
	conf_error(reader, value->place, "%s: in a numbered set it has one %%d and no other '%%'",
		   conf_quote(quoted, value->text));
	return NULL;
}

/* A mistake in one backend of a set is mostly in all: only the first is reported. */
static void read_names(struct conf_reader *reader, const struct entry *entry, struct conf_backend *first)
{
	struct conf_value name = entry->values[BACKEND_NAME];
	char room[NAME_ROOM];

	for (size_t i = 0; i < entry->count; i++) {
		name.text = text_of(reader, entry, BACKEND_NAME, i, room);
		first[i].name = conf_read_name(reader, &name);
		if (!first[i].name)
			break;
	}
}

static void read_addresses(struct conf_reader *reader, const struct entry *entry, struct conf_backend *first)
{
	char room[NAME_ROOM];

	for (size_t i = 0; i < entry->count; i++) {
		const char *text = text_of(reader, entry, BACKEND_ADDRESS, i, room);
		if (!text || !read_address(reader, entry->values[BACKEND_ADDRESS].place, text, &first[i]))
			break;
	}
}

static bool same_id(const struct conf_backend *a, const struct conf_backend *b)
{
	return a->has_id && b->has_id && a->id.len == b->id.len && memcmp(a->id.octets, b->id.octets, a->id.len) == 0;
}

static bool same_name(const struct conf_backend *a, const struct conf_backend *b)
{
	return a->name && b->name && strcmp(a->name, b->name) == 0;
}

static bool same_address(const struct conf_backend *a, const struct conf_backend *b)
{
	return a->addr.port && a->addr.port == b->addr.port && addr_equal(&a->addr, &b->addr) && !a->host == !b->host &&
	       (!a->host || strcmp(a->host, b->host) == 0);
}

/* The first backend before `end` that is `same` as the one at `at`, or NULL. */
static const struct conf_backend *find_same(const struct conf_pool *pool, size_t end, size_t at,
					    bool (*same)(const struct conf_backend *, const struct conf_backend *))
{
	const struct conf_backend *one = &pool->backends[at];

	for (const struct conf_backend *b = pool->backends; b < pool->backends + end; b++)
		if (same(one, b))
			return b;
	return NULL;
}

/* Within a set all names and ids are distinct. */
static void check_distinct(struct conf_reader *reader, const struct entry *entry, const struct conf_pool *pool)
{
	const size_t first = pool->backend_count - entry->count;
	const struct conf_backend *same = NULL;
	size_t at;

	for (at = first; at < pool->backend_count && !same; at++)
		same = find_same(pool, first, at, same_name);
	if (same)
		conf_error(reader, entry->values[BACKEND_NAME].place, "\"%s\" is already the name of backends[%zu]",
			   same->name, same->entry);
	same = NULL;
	for (at = first; at < pool->backend_count && !same; at++)
		same = find_same(pool, first, at, same_id);
	if (same && entry->set)
		conf_error(reader, entry->values[BACKEND_ID_BASE].place, "number %zu gets the id of backends[%zu]",
			   at - 1 - first, same->entry);
	else if (same)
		conf_error(reader, entry->values[BACKEND_ID].place, "already the id of backends[%zu]", same->entry);
	same = NULL;
	for (at = first; at < pool->backend_count && !same; at++)
		same = find_same(pool, first, at, same_address);
	if (same)
		conf_advise(reader, entry->values[BACKEND_ADDRESS].place,
			    "already the address of backends[%zu]: one server under two names", same->entry);
}

/* Reports options that only sets have, or only single backends. False: nobody knows which of both is meant. */
static bool check_kind(struct conf_reader *reader, const struct entry *entry)
{
	const struct conf_value *values = entry->values, *name = &values[BACKEND_NAME];
	char quoted[CONF_QUOTE_OCTETS];

	if (values[BACKEND_COUNT].found == CONF_WRONG)
		return false;
	if (!entry->set && name->text && strstr(name->text, "%d")) {
		conf_error(reader, values[BACKEND_COUNT].place, "missing: %s names a numbered set",
			   conf_quote(quoted, name->text));
		return false;
	}
	if (entry->set && values[BACKEND_ID].found != CONF_ABSENT)
		conf_error(reader, values[BACKEND_ID].place,
			   "a numbered set has id_base instead, the id of its number 0");
	if (!entry->set && values[BACKEND_ID_BASE].found != CONF_ABSENT)
		conf_error(reader, values[BACKEND_ID_BASE].place, "belongs to a numbered set; add count, or say id");
	return true;
}

/* Room for the backends of the entry at the end of the pool's, or NULL (reported). */
static struct conf_backend *make_room(struct conf_reader *reader, const struct conf_value *list,
				      const struct entry *entry, struct conf_pool *pool)
{
	const size_t count = pool->backend_count + entry->count;
	struct conf_backend *grown = count > CONF_MAX_BACKENDS ? NULL : realloc(pool->backends, count * sizeof *grown);

	if (count > CONF_MAX_BACKENDS)
		conf_error(reader, list->place, "numbered sets make it more than %d backends", CONF_MAX_BACKENDS);
	else
		reader->no_memory |= !grown;
	if (!grown)
		return NULL;
	pool->backends = grown;
	grown += pool->backend_count;
	for (size_t i = 0; i < entry->count; i++)
		grown[i] = (struct conf_backend){
			.entry = entry->at,
			.weight = (uint16_t)entry->values[BACKEND_WEIGHT].number,
			.admin = (enum backend_admin)entry->values[BACKEND_STATE].number,
		};
	pool->backend_count = count;
	return grown;
}

static void check_takes_sessions(struct conf_reader *reader, const struct conf_value *list,
				 const struct conf_pool *pool)
{
	for (size_t i = 0; i < pool->backend_count; i++)
		if (pool->backends[i].weight > 0 && pool->backends[i].admin == BACKEND_READY)
			return;
	if (pool->backend_count > 0)
		conf_advise(reader, list->place,
			    "no backend takes new sessions: each has weight 0, or a state other than \"ready\"");
}

void conf_backends_read(struct conf_reader *reader, const struct conf_value *list, const struct cid_layout *layout,
			struct conf_pool *pool)
{
	const size_t entries = conf_read_count(reader, list, CONF_MAX_BACKENDS);
	struct conf_backend *first;

	for (size_t i = 0; i < entries; i++) {
		struct entry entry = { .at = i, .count = 1 };
		if (!conf_read_element(reader, list->place.setting, (int)i, &entry.place))
			continue;
		conf_read_section(reader, entry.place, &conf_section_backend, entry.values);
		entry.set = entry.values[BACKEND_COUNT].found == CONF_GOOD;
		if (entry.set)
			entry.count = (size_t)entry.values[BACKEND_COUNT].number;
		first = make_room(reader, list, &entry, pool);
		if (!first)
			return;
		if (!check_kind(reader, &entry))
			continue;
		read_names(reader, &entry, first);
		read_addresses(reader, &entry, first);
		if (layout && entry.set)
			conf_id_base_read(reader, &entry.values[BACKEND_ID_BASE], layout, first, entry.count);
		else if (layout)
			conf_id_read(reader, &entry.values[BACKEND_ID], layout, first);
		if (layout)
			conf_may_claim_read(reader, &entry.values[BACKEND_MAY_CLAIM], layout, first, entry.count);
		check_distinct(reader, &entry, pool);
	}
	check_takes_sessions(reader, list, pool);
}
