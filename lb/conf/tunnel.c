#include <inttypes.h>
#include <string.h>

#include "common/plural.h"
#include "conf/read.h"

enum { TUNNEL_LOCAL, TUNNEL_KEYS, TUNNEL_REPLY, TUNNEL_CID_IDLE, TUNNEL_OPTIONS };

static const struct conf_option tunnel_options[TUNNEL_OPTIONS] = {
	[TUNNEL_LOCAL] = { "local", .type = CONF_TEXT, .required = true },
	[TUNNEL_KEYS] = { "keys", .type = CONF_LIST, .required = true },
	[TUNNEL_REPLY] = { "reply", .type = CONF_WORD, .words = { [REPLY_NODE] = "node", [REPLY_DIRECT] = "direct" } },
	[TUNNEL_CID_IDLE] = { "cid_idle_s", .type = CONF_NUMBER, .min = 1, .max = 2000000, .fallback = 86400,
			      .unit = "s" },
};

enum { KEY_ID, KEY_KEY, KEY_OPTIONS };

static const struct conf_option key_options[KEY_OPTIONS] = {
	[KEY_ID] = { "id", .type = CONF_NUMBER, .required = true, .min = 0, .max = UINT8_MAX },
	[KEY_KEY] = { "key", .type = CONF_TEXT, .required = true },
};

const struct conf_section conf_section_tunnel = { "pools.tunnel", tunnel_options, TUNNEL_OPTIONS };
const struct conf_section conf_section_tunnel_key = { "pools.tunnel.keys", key_options, KEY_OPTIONS };

static int version_of(const struct addr *a)
{
	return addr_is_v4(a) ? 4 : 6;
}

/* The workers' ports, and that of the probes. */
static uint32_t last_port(const struct conf *conf, const struct conf_tunnel *tunnel)
{
	return tunnel->local.port + (uint32_t)conf->workers;
}

/* Nobody knows yet where names lead. They are asked for addresses of this family. */
static void check_backends(struct conf_reader *reader, struct conf_place place, const struct conf_pool *pool)
{
	const struct addr *local = &pool->tunnel.local;
	char text[ADDR_TEXT_OCTETS];

	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct conf_backend *backend = &pool->backends[i];
		if (!backend->addr.port || backend->host)
			continue;
		if (addr_is_v4(&backend->addr) != addr_is_v4(local))
			conf_error(reader, place, "IPv%d, but backends[%zu] at %s is IPv%d", version_of(local),
				   backend->entry, addr_format(&backend->addr, text), version_of(&backend->addr));
		else if (addr_is_loopback(local) && !addr_is_loopback(&backend->addr))
			conf_error(reader, place, "on loopback, where backends[%zu] at %s cannot answer",
				   backend->entry, addr_format(&backend->addr, text));
		else
			continue;
		break;
	}
}

static void read_local(struct conf_reader *reader, const struct conf_value *value, struct conf_pool *pool)
{
	struct addr *local = &pool->tunnel.local;

	if (!conf_read_own_addr(reader, value, local) || (!addr_is_wildcard(local) && !addr_is_of_link(local->ip)))
		return;
	conf_error(reader, value->place, "not an address that servers can answer to; give one of this host%s",
		   addr_is_wildcard(local) ? "" : " that is not of a link");
	*local = (struct addr){ 0 };
}

static void read_key(struct conf_reader *reader, const struct conf_value *values, struct proxy2_keys *keys)
{
	struct proxy2_key *key = &keys->keys[keys->count];
	uint8_t octets[16];
	const bool good = conf_key_read(reader, &values[KEY_KEY], octets) &&
			  !conf_key_is_exposed(reader, &values[KEY_KEY]) && values[KEY_ID].found == CONF_GOOD;

	if (good)
		*key = (struct proxy2_key){ (uint8_t)values[KEY_ID].number, siphash_key_load(octets) };
	explicit_bzero(octets, sizeof octets);
	if (!good)
		return;
	if (keys->count > 0 && keys->keys[0].id == key->id)
		conf_error(reader, values[KEY_ID].place, "already the id of keys[0]");
	else
		keys->count++;
}

static void read_keys(struct conf_reader *reader, const struct conf_value *list, struct proxy2_keys *keys)
{
	const size_t count = conf_read_count(reader, list, PROXY2_POOL_KEYS);
	struct conf_value values[KEY_OPTIONS];
	struct conf_place place;

	for (size_t i = 0; i < count; i++) {
		if (!conf_read_element(reader, list->place.setting, (int)i, &place))
			continue;
		conf_read_section(reader, place, &conf_section_tunnel_key, values);
		read_key(reader, values, keys);
	}
}

void conf_tunnel_read(struct conf_reader *reader, struct conf_place group, struct conf_pool *pool)
{
	struct conf_value values[TUNNEL_OPTIONS];

	if (group.absent) {
		conf_error(reader, group, "missing: forward = \"tunnel\" needs its local address and keys");
		return;
	}
	conf_read_section(reader, group, &conf_section_tunnel, values);
	read_local(reader, &values[TUNNEL_LOCAL], pool);
	read_keys(reader, &values[TUNNEL_KEYS], &pool->tunnel.keys);
	pool->tunnel.reply = (enum conf_reply)values[TUNNEL_REPLY].number;
	pool->tunnel.cid_idle_s = (uint32_t)values[TUNNEL_CID_IDLE].number;
}

static bool meets(const struct conf *conf, const struct conf_tunnel *tunnel, uint32_t first, uint32_t last)
{
	return first <= last_port(conf, tunnel) && tunnel->local.port <= last;
}

static bool same_ip(const struct addr *a, const struct addr *b)
{
	return memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

/* A socket at `a` takes the tunnel's address too. */
static bool covers(const struct addr *a, const struct addr *local)
{
	return same_ip(a, local) || (addr_is_wildcard(a) && addr_is_v4(a) == addr_is_v4(local));
}

/* Sockets of prefixes are bound to the wildcard address. */
static bool nat_covers(const struct conf_nat *nat, const struct addr *local)
{
	for (size_t i = 0; i < nat->source_count; i++) {
		const struct addr *source = &nat->sources[i].addr;
		if (nat->single ? same_ip(source, local) : addr_is_v4(source) == addr_is_v4(local))
			return true;
	}
	return false;
}

static void check_ports(struct conf_reader *reader, struct conf_place place, size_t at)
{
	const struct conf *conf = reader->conf;
	const struct conf_tunnel *tunnel = &conf->pools[at].tunnel;
	const unsigned first = tunnel->local.port, last = last_port(conf, tunnel);
	char text[ADDR_TEXT_OCTETS];

	for (size_t i = 0; i < conf->listener_count; i++) {
		const struct addr *a = &conf->listeners[i].addr;
		if (a->port && covers(a, &tunnel->local) && meets(conf, tunnel, a->port, a->port))
			conf_error(reader, place, "%u-%u has the port of listeners[%zu], %s", first, last, i,
				   addr_format(a, text));
	}
	for (size_t i = 0; i < conf->pool_count; i++) {
		const struct conf_pool *pool = &conf->pools[i];
		if (nat_covers(&pool->nat, &tunnel->local) &&
		    meets(conf, tunnel, pool->nat.port_first, pool->nat.port_last))
			conf_error(reader, place, "%u-%u has ports of pools[%zu].nat, %u-%u", first, last, i,
				   pool->nat.port_first, pool->nat.port_last);
		if (i < at && pool->tunnel.local.port && same_ip(&pool->tunnel.local, &tunnel->local) &&
		    meets(conf, tunnel, pool->tunnel.local.port, last_port(conf, &pool->tunnel)))
			conf_error(reader, place,
				   "%u-%u has ports of pools[%zu].tunnel, %u-%u: one per worker, one for probes", first,
				   last, i, pool->tunnel.local.port, last_port(conf, &pool->tunnel));
	}
}

static const config_setting_t *group_of(const config_setting_t *list, size_t at)
{
	const config_setting_t *pool = config_setting_get_elem(list, (unsigned)at);

	return config_setting_is_group(pool) ? config_setting_get_member(pool, "tunnel") : NULL;
}

/* A tunnel without room for its ports is none for what follows. */
static void check_local(struct conf_reader *reader, struct conf_place place, struct conf_pool *pool)
{
	const unsigned workers = reader->conf->workers;

	if (last_port(reader->conf, &pool->tunnel) <= UINT16_MAX) {
		check_backends(reader, place, pool);
		return;
	}
	conf_error(reader, place, "%u worker%s and the probes have a port each; accepted: ports up to %u", workers,
		   PLURAL(workers), UINT16_MAX - workers);
	pool->tunnel.local = (struct addr){ 0 };
}

void conf_tunnels_check(struct conf_reader *reader, const config_setting_t *list)
{
	struct conf *conf = reader->conf;

	for (size_t i = 0; i < conf->pool_count; i++)
		if (conf->pools[i].tunnel.local.port)
			check_local(reader, conf_at(config_setting_get_member(group_of(list, i), "local")),
				    &conf->pools[i]);
	for (size_t i = 0; i < conf->pool_count; i++) {
		const struct conf_tunnel *tunnel = &conf->pools[i].tunnel;
		const config_setting_t *group = group_of(list, i);
		if (group && tunnel->local.port)
			check_ports(reader, conf_at(config_setting_get_member(group, "local")), i);
	}
}
