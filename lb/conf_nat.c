#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conf_priv.h"

enum { NAT_REBIND, NAT_SOURCES, NAT_PORTS, NAT_IDLE, NAT_CID_IDLE, NAT_MAX_FLOWS, NAT_SETTLE, NAT_CONTEST, NAT_OPTIONS };

static const struct conf_option nat_options[NAT_OPTIONS] = {
	[NAT_REBIND] = { "rebind", .type = CONF_WORD, .words = { [REBIND_FOLLOW] = "follow", [REBIND_BACKEND] = "backend" } },
	[NAT_SOURCES] = { "sources", .type = CONF_LIST },
	[NAT_PORTS] = { "ports", .type = CONF_TEXT },
	[NAT_IDLE] = { "idle_s", .type = CONF_NUMBER, .min = 1, .max = 86400, .fallback = 300, .unit = "s" },
	[NAT_CID_IDLE] = { "cid_idle_s", .type = CONF_NUMBER, .min = 1, .max = 2000000, .fallback = 86400, .unit = "s" },
	[NAT_MAX_FLOWS] = { "max_flows", .type = CONF_NUMBER, .min = 8, .max = 50000000, .fallback = 100000 },
	[NAT_SETTLE] = { "settle_ms", .type = CONF_NUMBER, .min = 100, .max = 600000, .fallback = 5000, .unit = "ms" },
	[NAT_CONTEST] = { "contest_s", .type = CONF_NUMBER, .min = 1, .max = 3600, .fallback = 60, .unit = "s" },
};

const struct conf_section conf_section_nat = { "pools.nat", nat_options, NAT_OPTIONS };

enum {
	MAX_PORTS = 64,
	PORT_FIRST = 40684, /* the default range */
	PORT_LAST = 40691,
	V4_BITS_MIN = 8,
	V4_BITS_MAX = 30,
	V6_BITS_MIN = 8,
	V6_BITS_MAX = 112,
};

static unsigned family_bits(const struct addr *a)
{
	return addr_is_v4(a) ? 32 : 128;
}

/* The first address of the prefix that `a` lies in. */
static struct addr clear_host_bits(const struct addr *a, unsigned bits)
{
	struct addr first = *a;

	first.port = 0;
	for (unsigned i = 128 - family_bits(a) + bits; i < 128; i++)
		first.ip[i / 8] &= (uint8_t) ~(0x80u >> i % 8);
	return first;
}

static bool prefix_contains(const struct conf_prefix *prefix, const struct addr *a)
{
	const struct addr first = clear_host_bits(a, prefix->bits);

	return addr_is_v4(a) == addr_is_v4(&prefix->addr) && addr_equal(&first, &prefix->addr);
}

/* Reads 1..max in decimal digits and moves *text behind them. False: something else. */
static bool parse_number(const char **text, unsigned max, unsigned *out)
{
	*out = 0;
	if (**text < '1' || **text > '9')
		return false;
	for (; **text >= '0' && **text <= '9'; ++*text)
		if ((*out = *out * 10 + (unsigned)(**text - '0')) > max)
			return false;
	return true;
}

static bool parse_prefix(struct conf_prefix *out, const char *text)
{
	char ip[ADDR_TEXT_OCTETS];
	const char *slash = strchr(text, '/'), *at;
	unsigned bits;

	if (!slash || slash - text >= (ptrdiff_t)sizeof ip)
		return false;
	memcpy(ip, text, (size_t)(slash - text));
	ip[slash - text] = '\0';
	at = slash + 1;
	if (addr_parse_ip(&out->addr, ip) < 0 || !parse_number(&at, 128, &bits))
		return false;
	out->bits = (uint8_t)bits;
	return *at == '\0';
}

static bool read_source(struct conf_reader *reader, const config_setting_t *setting, struct conf_prefix *out)
{
	const struct conf_place place = conf_at(setting);
	const char *text = config_setting_get_string(setting);
	char quoted[CONF_QUOTE_OCTETS], right[ADDR_TEXT_OCTETS];
	struct addr single;

	if (!text) {
		conf_error(reader, place, "not a text in quotes");
		return false;
	}
	conf_quote(quoted, text);
	if (addr_parse_ip(&single, text) == 0) {
		conf_error(reader, place, "%s: single-address sources are not built yet; give a prefix", quoted);
		return false;
	}
	if (!parse_prefix(out, text)) {
		conf_error(reader, place, "%s is no prefix; accepted: A.B.C.D/BITS, IPV6/BITS", quoted);
		return false;
	}
	const bool v4 = addr_is_v4(&out->addr);
	const unsigned min = v4 ? V4_BITS_MIN : V6_BITS_MIN, max = v4 ? V4_BITS_MAX : V6_BITS_MAX;
	if (out->bits < min || out->bits > max) {
		conf_error(reader, place, "%s: %u bits; accepted for IPv%d: %u..%u", quoted, out->bits, v4 ? 4 : 6, min, max);
		return false;
	}
	const struct addr first = clear_host_bits(&out->addr, out->bits);
	if (addr_equal(&first, &out->addr))
		return true;
	conf_error(reader, place, "%s has host bits set; the prefix is %s/%u", quoted, addr_format(&first, right), out->bits);
	return false;
}

/* False: some source is wrong (reported). */
static bool read_sources(struct conf_reader *reader, const struct conf_value *list, struct conf_nat *nat)
{
	const size_t count = conf_read_count(reader, list, CONF_MAX_SOURCES);
	bool good = count > 0;

	for (size_t i = 0; i < count; i++) {
		const config_setting_t *setting = config_setting_get_elem(list->place.setting, (unsigned)i);
		struct conf_prefix *source = &nat->sources[i];
		if (!read_source(reader, setting, source)) {
			good = false;
			continue;
		}
		for (size_t j = 0; good && j < i; j++)
			if (prefix_contains(source, &nat->sources[j].addr) || prefix_contains(&nat->sources[j], &source->addr)) {
				conf_error(reader, conf_at(setting), "overlaps sources[%zu]", j);
				good = false;
			}
	}
	nat->source_count = count;
	return good;
}

/* The first backend that is not on loopback, or NULL. */
static const struct conf_backend *first_remote(const struct conf_pool *pool, const struct conf_prefix *source)
{
	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct addr *a = &pool->backends[i].addr;
		if (a->port && !addr_is_loopback(a) && (!source || addr_is_v4(a) == addr_is_v4(&source->addr)))
			return &pool->backends[i];
	}
	return NULL;
}

static bool default_sources(struct conf_reader *reader, struct conf_place place, struct conf_pool *pool)
{
	static const struct conf_prefix loopback = { .addr.ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [13] = 64 }, .bits = 10 };
	const struct conf_backend *remote = first_remote(pool, NULL);

	if (remote) {
		conf_error(reader, place, "no sources: backends[%td] is not on loopback; name a prefix that is routed to this host",
			   remote - pool->backends);
		return false;
	}
	pool->nat.sources[0] = loopback;
	pool->nat.source_count = 1;
	return true;
}

static bool family_used(const struct conf_pool *pool, bool v4)
{
	for (size_t i = 0; i < pool->backend_count; i++)
		if (pool->backends[i].addr.port && addr_is_v4(&pool->backends[i].addr) == v4)
			return true;
	return false;
}

static bool family_has_source(const struct conf_nat *nat, bool v4)
{
	for (size_t i = 0; i < nat->source_count; i++)
		if (addr_is_v4(&nat->sources[i].addr) == v4)
			return true;
	return false;
}

/* Every backend can be reached from the sources. */
static void check_reach(struct conf_reader *reader, struct conf_place place, const struct conf_pool *pool)
{
	char text[ADDR_TEXT_OCTETS];

	for (size_t i = 0; i < pool->nat.source_count; i++) {
		const struct conf_prefix *source = &pool->nat.sources[i];
		const struct conf_backend *remote = addr_is_loopback(&source->addr) ? first_remote(pool, source) : NULL;
		if (!remote)
			continue;
		conf_error(reader, place, "%s/%u is on loopback, backends[%td] is not", addr_format(&source->addr, text), source->bits,
			   remote - pool->backends);
		break;
	}
	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct addr *a = &pool->backends[i].addr;
		if (!a->port || family_has_source(&pool->nat, addr_is_v4(a)))
			continue;
		conf_error(reader, place, "no source is IPv%d, as backends[%zu] at %s needs", addr_is_v4(a) ? 4 : 6, i,
			   addr_format(a, text));
		break;
	}
}

static bool read_ports(struct conf_reader *reader, const struct conf_value *ports, struct conf_nat *nat)
{
	const char *at = ports->text;
	char quoted[CONF_QUOTE_OCTETS];
	unsigned first = PORT_FIRST, last = PORT_LAST;

	if (ports->found == CONF_WRONG)
		return false;
	if (at) {
		bool good = parse_number(&at, UINT16_MAX, &first);
		last = first;
		if (good && *at == '-') {
			at++;
			good = parse_number(&at, UINT16_MAX, &last);
		}
		if (!good || *at || first > last || last - first >= MAX_PORTS) {
			conf_error(reader, ports->place, "%s is no port range; accepted: PORT, or LOW-HIGH of at most %d ports",
				   conf_quote(quoted, ports->text), MAX_PORTS);
			return false;
		}
	}
	nat->port_first = (uint16_t)first;
	nat->port_last = (uint16_t)last;
	return true;
}

/* An endpoint's socket is bound to its port on the wildcard address. Pools may share ports: they share the sockets then. */
static void check_ports(struct conf_reader *reader, struct conf_place place, const struct conf_nat *nat)
{
	const struct conf *conf = reader->conf;
	char text[ADDR_TEXT_OCTETS];

	for (size_t i = 0; i < conf->listener_count; i++) {
		const struct addr *a = &conf->listeners[i].addr;
		bool clash = addr_is_wildcard(a) && family_has_source(nat, addr_is_v4(a));
		if (a->port < nat->port_first || a->port > nat->port_last)
			continue;
		for (size_t j = 0; j < nat->source_count; j++)
			clash |= prefix_contains(&nat->sources[j], a);
		if (clash)
			conf_error(reader, place, "%u-%u has the port of listeners[%zu], %s", nat->port_first, nat->port_last, i,
				   addr_format(a, text));
	}
}

/* Endpoints of a family that no backend has are of no use. */
static void check_endpoints(struct conf_reader *reader, struct conf_place place, const struct conf_pool *pool)
{
	const struct conf_nat *nat = &pool->nat;
	uint64_t addresses = 0;

	for (size_t i = 0; i < nat->source_count; i++) {
		const struct conf_prefix *source = &nat->sources[i];
		const unsigned host_bits = family_bits(&source->addr) - source->bits;
		if (family_used(pool, addr_is_v4(&source->addr)))
			addresses += (uint64_t)1 << (host_bits < 32 ? host_bits : 32);
	}
	const uint64_t endpoints = addresses * (nat->port_last - nat->port_first + 1u);
	if (addresses && endpoints < nat->max_flows)
		conf_error(reader, place, "%" PRIu32 " flows need as many endpoints; sources and ports give %" PRIu64, nat->max_flows,
			   endpoints);
}

void conf_nat_read(struct conf_reader *reader, struct conf_place group, struct conf_pool *pool)
{
	struct conf_value values[NAT_OPTIONS];
	const struct conf_value *sources = &values[NAT_SOURCES];
	struct conf_nat *nat = &pool->nat;
	bool sources_known;

	conf_read_section(reader, group, &conf_section_nat, values);
	*nat = (struct conf_nat){
		.rebind = (enum conf_rebind)values[NAT_REBIND].number,
		.idle_s = (uint32_t)values[NAT_IDLE].number,
		.cid_idle_s = (uint32_t)values[NAT_CID_IDLE].number,
		.max_flows = (uint32_t)values[NAT_MAX_FLOWS].number,
		.settle_ms = (uint32_t)values[NAT_SETTLE].number,
		.contest_s = (uint32_t)values[NAT_CONTEST].number,
	};
	if (sources->found == CONF_ABSENT)
		sources_known = default_sources(reader, sources->place, pool);
	else
		sources_known = read_sources(reader, sources, nat);
	const bool ports_known = read_ports(reader, &values[NAT_PORTS], nat);
	if (sources_known)
		check_reach(reader, sources->place, pool);
	if (sources_known && ports_known) {
		check_ports(reader, values[NAT_PORTS].place, nat);
		if (values[NAT_MAX_FLOWS].found != CONF_WRONG)
			check_endpoints(reader, values[NAT_MAX_FLOWS].place, pool);
	}
}
