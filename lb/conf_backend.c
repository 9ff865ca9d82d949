#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conf_priv.h"

enum { BACKEND_NAME, BACKEND_ID, BACKEND_ADDRESS, BACKEND_WEIGHT, BACKEND_STATE, BACKEND_OPTIONS };

static const struct conf_option backend_options[BACKEND_OPTIONS] = {
	[BACKEND_NAME] = { "name", .type = CONF_TEXT, .required = true },
	[BACKEND_ID] = { "id", .type = CONF_ANY },
	[BACKEND_ADDRESS] = { "address", .type = CONF_TEXT, .required = true },
	[BACKEND_WEIGHT] = { "weight", .type = CONF_NUMBER, .min = 0, .max = RENDEZVOUS_MAX_WEIGHT, .fallback = 100 },
	[BACKEND_STATE] = { "state", .type = CONF_WORD,
			    .words = { [BACKEND_READY] = "ready", [BACKEND_DRAIN] = "drain", [BACKEND_MAINT] = "maint" } },
};

const struct conf_section conf_section_backend = { "pools.backends", backend_options, BACKEND_OPTIONS };

static void read_number_id(struct conf_reader *reader, struct conf_place place, const struct cid_layout *layout,
			   struct conf_backend *backend)
{
	const size_t size = cid_id_octets(layout);
	const int64_t number = config_setting_get_int64(place.setting);
	/* INT64_MAX stands for all that 64 bits cannot hold. */
	const int64_t max = size < 8 ? ((int64_t)1 << 8 * size) - 1 : INT64_MAX - 1;

	if (number >= 0 && number <= max && cid_id_from_number(&backend->id, layout, (uint64_t)number) == 0)
		backend->has_id = true;
	else if (number == INT64_MAX || number == INT64_MIN)
		conf_error(reader, place, "beyond 64 bits; accepted: 0..%" PRId64 " or %zu hex digits in quotes", max, 2 * size);
	else
		conf_error(reader, place, "%" PRId64 " does not fit size %zu; accepted: 0..%" PRId64, number, size, max);
}

/* Ids mean nothing to layouts without them, and are then left alone: a pool may be switched to such a layout for comparison. */
static void read_id(struct conf_reader *reader, const struct conf_value *id, const struct cid_layout *layout, struct conf_backend *backend)
{
	const int type = id->found == CONF_GOOD ? config_setting_type(id->place.setting) : CONFIG_TYPE_NONE;
	const size_t size = cid_id_octets(layout);
	char quoted[CONF_QUOTE_OCTETS];

	if (size == 0)
		return;
	if (id->found == CONF_ABSENT)
		conf_error(reader, id->place, "missing: scheme \"node-id\" needs one for each backend");
	else if (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64)
		read_number_id(reader, id->place, layout, backend);
	else if (type != CONFIG_TYPE_STRING)
		conf_error(reader, id->place, "not a server id; accepted: a number or %zu hex digits in quotes", 2 * size);
	else if (cid_id_from_hex(&backend->id, layout, config_setting_get_string(id->place.setting)) == 0)
		backend->has_id = true;
	else
		conf_error(reader, id->place, "%s does not fit size %zu; accepted: %zu hex digits",
			   conf_quote(quoted, config_setting_get_string(id->place.setting)), size, 2 * size);
}

static bool same_id(const struct conf_backend *a, const struct conf_backend *b)
{
	return a->has_id && b->has_id && a->id.len == b->id.len && memcmp(a->id.octets, b->id.octets, a->id.len) == 0;
}

static void check_distinct(struct conf_reader *reader, const struct conf_value *values, const struct conf_pool *pool, size_t at)
{
	const struct conf_backend *backend = &pool->backends[at];

	for (size_t i = 0; backend->name && i < at; i++)
		if (pool->backends[i].name && strcmp(backend->name, pool->backends[i].name) == 0) {
			conf_error(reader, values[BACKEND_NAME].place, "\"%s\" is already the name of backends[%zu]", backend->name, i);
			break;
		}
	for (size_t i = 0; i < at; i++)
		if (same_id(backend, &pool->backends[i])) {
			conf_error(reader, values[BACKEND_ID].place, "already the id of backends[%zu]", i);
			break;
		}
}

void conf_backends_read(struct conf_reader *reader, const struct conf_value *list, bool layout_known, struct conf_pool *pool)
{
	const size_t count = conf_read_count(reader, list, CONF_MAX_BACKENDS);
	struct conf_value values[BACKEND_OPTIONS];
	struct conf_place place;

	pool->backends = count ? calloc(count, sizeof *pool->backends) : NULL;
	if (!pool->backends) {
		reader->no_memory |= count > 0;
		return;
	}
	pool->backend_count = count;
	for (size_t i = 0; i < count; i++) {
		struct conf_backend *backend = &pool->backends[i];
		if (!conf_read_element(reader, list->place.setting, (int)i, &place))
			continue;
		conf_read_section(reader, place, &conf_section_backend, values);
		backend->name = conf_read_name(reader, &values[BACKEND_NAME]);
		backend->weight = (uint16_t)values[BACKEND_WEIGHT].number;
		backend->admin = (enum backend_admin)values[BACKEND_STATE].number;
		if (conf_read_addr(reader, &values[BACKEND_ADDRESS], &backend->addr) && addr_is_wildcard(&backend->addr)) {
			conf_error(reader, values[BACKEND_ADDRESS].place, "a backend needs an address of its own");
			backend->addr.port = 0;
		}
		if (layout_known)
			read_id(reader, &values[BACKEND_ID], &pool->layout, backend);
		check_distinct(reader, values, pool, i);
	}
}
