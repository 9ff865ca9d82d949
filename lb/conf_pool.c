#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conf_priv.h"
#include "limit.h"

enum {
	POOL_NAME,
	POOL_PROTOCOL,
	POOL_FORWARD,
	POOL_AFFINITY,
	POOL_UNKNOWN_CID,
	POOL_CID,
	POOL_NAT,
	POOL_TUNNEL,
	POOL_HEALTH,
	POOL_HELLO_RATE,
	POOL_BACKENDS,
	POOL_OPTIONS,
};

static const struct conf_option pool_options[POOL_OPTIONS] = {
	[POOL_NAME] = { "name", .type = CONF_TEXT, .required = true },
	[POOL_PROTOCOL] = { "protocol", .type = CONF_WORD, .words = { [POOL_DTLS] = "dtls", [POOL_UDP] = "udp" } },
	[POOL_FORWARD] = { "forward", .type = CONF_WORD, .words = { "nat" }, .later = { "tunnel", "dsr" } },
	[POOL_AFFINITY] = { "affinity", .type = CONF_WORD,
			    .words = { [AFFINITY_ADDRESS_PORT] = "address-port", [AFFINITY_ADDRESS] = "address" } },
	[POOL_UNKNOWN_CID] = { "unknown_cid", .type = CONF_WORD, .words = { [UNKNOWN_CID_DROP] = "drop", [UNKNOWN_CID_HASH] = "hash" } },
	[POOL_CID] = { "cid", .type = CONF_GROUP },
	[POOL_NAT] = { "nat", .type = CONF_GROUP },
	[POOL_TUNNEL] = { "tunnel", .type = CONF_ANY },
	[POOL_HEALTH] = { "health", .type = CONF_GROUP },
	[POOL_HELLO_RATE] = { "hello_rate", .type = CONF_GROUP },
	[POOL_BACKENDS] = { "backends", .type = CONF_LIST, .required = true },
};

enum { CID_SCHEME, CID_LENGTH, CID_OFFSET, CID_SIZE, CID_CONFIGS, CID_OPTIONS };

static const enum cid_scheme scheme_of_word[] = { CID_LAYOUT_ID, CID_LAYOUT_HASH, CID_LAYOUT_NONE };

static const struct conf_option cid_options[CID_OPTIONS] = {
	[CID_SCHEME] = { "scheme", .type = CONF_WORD, .required = true, .words = { "node-id", "hash", "none" },
			 .later = { "quic-lb", "learned" } },
	[CID_LENGTH] = { "length", .type = CONF_NUMBER, .min = 1, .max = LBCID_MAX_OCTETS, .unit = "octets" },
	[CID_OFFSET] = { "offset", .type = CONF_NUMBER, .min = 0, .max = LBCID_MAX_OCTETS - 1, .fallback = 0, .unit = "octets" },
	[CID_SIZE] = { "size", .type = CONF_NUMBER, .min = 1, .max = LBCID_MAX_ID_OCTETS, .fallback = 1, .unit = "octets" },
	[CID_CONFIGS] = { "configs", .type = CONF_ANY },
};

enum {
	HEALTH_PROBE,
	HEALTH_INTERVAL,
	HEALTH_TIMEOUT,
	HEALTH_RISE,
	HEALTH_FALL,
	HEALTH_ALL_DOWN,
	HEALTH_PATH,
	HEALTH_PSK_IDENTITY,
	HEALTH_PSK_KEY,
	HEALTH_OPTIONS,
};

static const struct conf_option health_options[HEALTH_OPTIONS] = {
	[HEALTH_PROBE] = { "probe", .type = CONF_WORD, .words = { [PROBE_DTLS] = "dtls", [PROBE_COAP] = "coap", [PROBE_NONE] = "none" },
			   .later = { "coaps", "http" } },
	[HEALTH_INTERVAL] = { "interval_ms", .type = CONF_NUMBER, .min = 10, .max = 3600000, .fallback = 2000, .unit = "ms" },
	[HEALTH_TIMEOUT] = { "timeout_ms", .type = CONF_NUMBER, .min = 1, .max = 60000, .fallback = 1000, .unit = "ms" },
	[HEALTH_RISE] = { "rise", .type = CONF_NUMBER, .min = 1, .max = UINT8_MAX, .fallback = 2 },
	[HEALTH_FALL] = { "fall", .type = CONF_NUMBER, .min = 1, .max = UINT8_MAX, .fallback = 3 },
	[HEALTH_ALL_DOWN] = { "all_down", .type = CONF_WORD, .words = { [ALL_DOWN_HASH] = "hash", [ALL_DOWN_DROP] = "drop" } },
	[HEALTH_PATH] = { "path", .type = CONF_TEXT },
	[HEALTH_PSK_IDENTITY] = { "psk_identity", .type = CONF_TEXT },
	[HEALTH_PSK_KEY] = { "psk_key", .type = CONF_TEXT },
};

enum { HELLO_RATE_POOL, HELLO_RATE_BACKEND, HELLO_RATE_PREFIX, HELLO_RATE_OPTIONS };

static const struct conf_option hello_rate_options[HELLO_RATE_OPTIONS] = {
	[HELLO_RATE_POOL] = { "pool", .type = CONF_NUMBER, .min = 0, .max = LIMIT_RATE_MAX, .unit = "per second" },
	[HELLO_RATE_BACKEND] = { "backend", .type = CONF_NUMBER, .min = 0, .max = LIMIT_RATE_MAX, .unit = "per second" },
	[HELLO_RATE_PREFIX] = { "prefix", .type = CONF_NUMBER, .min = 0, .max = LIMIT_RATE_MAX, .unit = "per second" },
};

enum { BACKEND_NAME, BACKEND_ID, BACKEND_ADDRESS, BACKEND_WEIGHT, BACKEND_STATE, BACKEND_OPTIONS };

static const struct conf_option backend_options[BACKEND_OPTIONS] = {
	[BACKEND_NAME] = { "name", .type = CONF_TEXT, .required = true },
	[BACKEND_ID] = { "id", .type = CONF_ANY },
	[BACKEND_ADDRESS] = { "address", .type = CONF_TEXT, .required = true },
	[BACKEND_WEIGHT] = { "weight", .type = CONF_NUMBER, .min = 0, .max = RENDEZVOUS_MAX_WEIGHT, .fallback = 100 },
	[BACKEND_STATE] = { "state", .type = CONF_WORD,
			    .words = { [BACKEND_READY] = "ready", [BACKEND_DRAIN] = "drain", [BACKEND_MAINT] = "maint" } },
};

const struct conf_section conf_section_pool = { "pools", pool_options, POOL_OPTIONS };
const struct conf_section conf_section_cid = { "pools.cid", cid_options, CID_OPTIONS };
const struct conf_section conf_section_health = { "pools.health", health_options, HEALTH_OPTIONS };
const struct conf_section conf_section_hello_rate = { "pools.hello_rate", hello_rate_options, HELLO_RATE_OPTIONS };
const struct conf_section conf_section_backend = { "pools.backends", backend_options, BACKEND_OPTIONS };

/* False (reported): the numbers give no layout. */
static bool read_layout(struct conf_reader *reader, struct conf_place group, const struct conf_value *values, struct cid_layout *layout)
{
	const struct conf_value *length = &values[CID_LENGTH];

	if (layout->scheme == CID_LAYOUT_NONE)
		return true;
	if (length->found == CONF_ABSENT)
		conf_error(reader, length->place, "missing");
	if (length->found != CONF_GOOD || values[CID_OFFSET].found == CONF_WRONG || values[CID_SIZE].found == CONF_WRONG)
		return false;
	layout->length = (uint8_t)length->number;
	if (layout->scheme == CID_LAYOUT_HASH)
		return true;
	layout->lbcid = (struct lbcid_config){
		.scheme = LBCID_NODE_ID,
		.length = layout->length,
		.offset = (uint8_t)values[CID_OFFSET].number,
		.size = (uint8_t)values[CID_SIZE].number,
	};
	if (lbcid_check(&layout->lbcid) == 0)
		return true;
	conf_error(reader, group, "offset %u + size %u is more than length %u", layout->lbcid.offset, layout->lbcid.size, layout->length);
	return false;
}

/* True: pool->layout is known, so that server ids can be held against it. */
static bool read_cid(struct conf_reader *reader, const struct conf_value *protocol, const struct conf_value *cid, struct conf_pool *pool)
{
	struct conf_value values[CID_OPTIONS];

	if (protocol->found == CONF_WRONG || cid->found == CONF_WRONG)
		return false;
	if (pool->protocol == POOL_UDP) {
		if (cid->found == CONF_GOOD)
			conf_error(reader, cid->place, "a udp pool has no CIDs; remove it, or say protocol = \"dtls\"");
		return true;
	}
	if (cid->found == CONF_ABSENT) {
		conf_error(reader, cid->place, "missing: how do the servers of this pool write ids into CIDs?");
		return false;
	}
	conf_read_section(reader, cid->place, &conf_section_cid, values);
	if (values[CID_SCHEME].found != CONF_GOOD)
		return false;
	if (values[CID_CONFIGS].found == CONF_GOOD)
		conf_error(reader, values[CID_CONFIGS].place, "belongs to scheme \"quic-lb\", which is not built yet");
	pool->layout.scheme = scheme_of_word[values[CID_SCHEME].number];
	if (pool->layout.scheme == CID_LAYOUT_HASH)
		conf_warn(reader, values[CID_SCHEME].place,
			  "with \"hash\", adding a backend moves sessions; only for servers that share session state");
	if (pool->layout.scheme == CID_LAYOUT_NONE)
		conf_warn(reader, values[CID_SCHEME].place, "with \"none\", sessions are lost when devices change address");
	return read_layout(reader, cid->place, values, &pool->layout);
}

static void read_health(struct conf_reader *reader, const struct conf_value *health, struct conf_pool *pool)
{
	struct conf_value values[HEALTH_OPTIONS];
	const struct conf_value *probe = &values[HEALTH_PROBE], *path = &values[HEALTH_PATH];

	if (health->found == CONF_WRONG)
		return;
	conf_read_section(reader, health->place, &conf_section_health, values);
	pool->health = (struct conf_health){
		.probe = (enum conf_probe)probe->number,
		.interval_ms = (uint32_t)values[HEALTH_INTERVAL].number,
		.timeout_ms = (uint32_t)values[HEALTH_TIMEOUT].number,
		.rise = (uint8_t)values[HEALTH_RISE].number,
		.fall = (uint8_t)values[HEALTH_FALL].number,
	};
	if (probe->found == CONF_ABSENT)
		pool->health.probe = pool->protocol == POOL_UDP ? PROBE_COAP : PROBE_DTLS;
	pool->all_down = (enum all_down)values[HEALTH_ALL_DOWN].number;
	if (path->text && *path->text != '/')
		conf_error(reader, path->place, "not a path; it begins with '/'");
	conf_key_is_exposed(reader, &values[HEALTH_PSK_KEY]);
	for (size_t i = HEALTH_PATH; i <= HEALTH_PSK_KEY; i++)
		if (values[i].found == CONF_GOOD && probe->found != CONF_WRONG)
			conf_warn(reader, values[i].place, "no effect with probe \"%s\"",
				  health_options[HEALTH_PROBE].words[pool->health.probe]);
}

static void read_hello_rate(struct conf_reader *reader, const struct conf_value *protocol, const struct conf_value *rate,
			    struct conf_pool *pool)
{
	struct conf_value values[HELLO_RATE_OPTIONS];

	if (rate->found == CONF_WRONG)
		return;
	if (rate->found == CONF_GOOD && protocol->found != CONF_WRONG && pool->protocol == POOL_UDP) {
		conf_error(reader, rate->place, "a udp pool has no ClientHellos; remove it, or say protocol = \"dtls\"");
		return;
	}
	conf_read_section(reader, rate->place, &conf_section_hello_rate, values);
	pool->hello_rate = (struct conf_hello_rate){
		.pool = (uint32_t)values[HELLO_RATE_POOL].number,
		.backend = (uint32_t)values[HELLO_RATE_BACKEND].number,
		.prefix = (uint32_t)values[HELLO_RATE_PREFIX].number,
	};
}

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

static void read_backends(struct conf_reader *reader, const struct conf_value *list, bool layout_known, struct conf_pool *pool)
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

void conf_pool_read(struct conf_reader *reader, struct conf_place place, struct conf_pool *pool)
{
	struct conf_value values[POOL_OPTIONS];

	conf_read_section(reader, place, &conf_section_pool, values);
	pool->name = conf_read_name(reader, &values[POOL_NAME]);
	pool->protocol = (enum pool_protocol)values[POOL_PROTOCOL].number;
	pool->affinity = (enum pool_affinity)values[POOL_AFFINITY].number;
	pool->unknown_cid = (enum unknown_cid)values[POOL_UNKNOWN_CID].number;
	if (values[POOL_TUNNEL].found == CONF_GOOD && values[POOL_FORWARD].found != CONF_WRONG)
		conf_error(reader, values[POOL_TUNNEL].place, "belongs to forward = \"tunnel\", which is not built yet");
	const bool layout_known = read_cid(reader, &values[POOL_PROTOCOL], &values[POOL_CID], pool);
	read_health(reader, &values[POOL_HEALTH], pool);
	read_hello_rate(reader, &values[POOL_PROTOCOL], &values[POOL_HELLO_RATE], pool);
	read_backends(reader, &values[POOL_BACKENDS], layout_known, pool);
	if (values[POOL_NAT].found != CONF_WRONG && values[POOL_FORWARD].found != CONF_WRONG)
		conf_nat_read(reader, values[POOL_NAT].place, pool);
}
