#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/read.h"
#include "io/io.h"

enum {
	NAT_REBIND,
	NAT_SOURCES,
	NAT_PORTS,
	NAT_IDLE,
	NAT_CID_IDLE,
	NAT_MAX_FLOWS,
	NAT_SETTLE,
	NAT_CONTEST,
	NAT_OPTIONS
};

static const struct conf_option nat_options[NAT_OPTIONS] = {
	[NAT_REBIND] = { "rebind", .type = CONF_WORD,
			 .words = { [REBIND_FOLLOW] = "follow", [REBIND_BACKEND] = "backend" } },
	[NAT_SOURCES] = { "sources", .type = CONF_LIST },
	[NAT_PORTS] = { "ports", .type = CONF_TEXT },
	[NAT_IDLE] = { "idle_s", .type = CONF_NUMBER, .min = 1, .max = 86400, .fallback = 300, .unit = "s" },
	[NAT_CID_IDLE] = { "cid_idle_s", .type = CONF_NUMBER, .min = 1, .max = 2000000, .fallback = 86400,
			   .unit = "s" },
	[NAT_MAX_FLOWS] = { "max_flows", .type = CONF_NUMBER, .min = 8, .max = 50000000, .fallback = 100000 },
	[NAT_SETTLE] = { "settle_ms", .type = CONF_NUMBER, .min = 100, .max = 600000, .fallback = 5000, .unit = "ms" },
	[NAT_CONTEST] = { "contest_s", .type = CONF_NUMBER, .min = 1, .max = 3600, .fallback = 60, .unit = "s" },
};

const struct conf_section conf_section_nat = { "pools.nat", nat_options, NAT_OPTIONS };

enum {
	MAX_PORTS = 64,     /* of prefixes */
	PORT_FIRST = 40684, /* the default range of prefixes */
	PORT_LAST = 40691,
	PORTS_BITS = 22,           /* of a host's part: so many addresses need no more than the first of them */
	SINGLE_PORT_FIRST = 20000, /* and of single addresses */
	SINGLE_PORT_LAST = 28191,
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

/* `single`: it is an address without /BITS. */
static bool read_source(struct conf_reader *reader, const config_setting_t *setting, struct conf_prefix *out,
			bool *single)
{
	const struct conf_place place = conf_at(setting);
	const char *text = conf_text_of(reader, setting);
	char quoted[CONF_QUOTE_OCTETS], right[ADDR_TEXT_OCTETS];

	if (!text) {
		conf_error(reader, place, "not a text in quotes");
		return false;
	}
	conf_quote(quoted, text);
	*single = addr_parse_ip(&out->addr, text) == 0;
	if (*single) {
		out->bits = (uint8_t)family_bits(&out->addr);
		if (!addr_is_wildcard(&out->addr))
			return true;
		conf_error(reader, place, "%s is no source; accepted: an address of this host, or a prefix", quoted);
		return false;
	}
	if (!parse_prefix(out, text)) {
		conf_error(reader, place,
			   "%s is no source; accepted: A.B.C.D/BITS, IPV6/BITS, or an address of this host", quoted);
		return false;
	}
	const bool v4 = addr_is_v4(&out->addr);
	const unsigned min = v4 ? V4_BITS_MIN : V6_BITS_MIN, max = v4 ? V4_BITS_MAX : V6_BITS_MAX;
	if (out->bits < min || out->bits > max) {
		conf_error(reader, place, "%s: %u bits; accepted for IPv%d: %u..%u", quoted, out->bits, v4 ? 4 : 6, min,
			   max);
		return false;
	}
	const struct addr first = clear_host_bits(&out->addr, out->bits);
	if (addr_equal(&first, &out->addr))
		return true;
	conf_error(reader, place, "%s has host bits set; the prefix is %s/%u", quoted, addr_format(&first, right),
		   out->bits);
	return false;
}

/* A source beside those before it. */
static bool fits_in(struct conf_reader *reader, struct conf_place place, const struct conf_nat *nat, size_t i,
		    bool single)
{
	const struct conf_prefix *source = &nat->sources[i];

	if (i > 0 && single != nat->single) {
		conf_error(reader, place, "addresses and prefixes do not mix");
		return false;
	}
	for (size_t j = 0; j < i; j++) {
		if (single && addr_is_v4(&nat->sources[j].addr) == addr_is_v4(&source->addr)) {
			conf_error(reader, place, "a second IPv%d address; accepted: one of each family",
				   addr_is_v4(&source->addr) ? 4 : 6);
			return false;
		}
		if (prefix_contains(source, &nat->sources[j].addr) ||
		    prefix_contains(&nat->sources[j], &source->addr)) {
			conf_error(reader, place, "overlaps sources[%zu]", j);
			return false;
		}
	}
	return true;
}

/* False: some source is wrong (reported). */
static bool read_sources(struct conf_reader *reader, const struct conf_value *list, struct conf_nat *nat)
{
	const size_t count = conf_read_count(reader, list, CONF_MAX_SOURCES);
	bool good = count > 0;

	for (size_t i = 0; i < count; i++) {
		const config_setting_t *setting = config_setting_get_elem(list->place.setting, (unsigned)i);
		bool single = false;
		if (!read_source(reader, setting, &nat->sources[i], &single)) {
			good = false;
			continue;
		}
		if (i == 0)
			nat->single = single;
		good = good && fits_in(reader, conf_at(setting), nat, i, single);
	}
	nat->source_count = count;
	return good;
}

/* Where a name leads nobody knows yet. */
static bool has_address(const struct conf_backend *backend)
{
	return backend->addr.port && !backend->host;
}

/* The first backend that is not on loopback, or NULL. */
static const struct conf_backend *first_remote(const struct conf_pool *pool, const struct conf_prefix *source)
{
	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct addr *a = &pool->backends[i].addr;
		if (has_address(&pool->backends[i]) && !addr_is_loopback(a) &&
		    (!source || addr_is_v4(a) == addr_is_v4(&source->addr)))
			return &pool->backends[i];
	}
	return NULL;
}

static bool family_has_source(const struct conf_nat *nat, bool v4)
{
	for (size_t i = 0; i < nat->source_count; i++)
		if (addr_is_v4(&nat->sources[i].addr) == v4)
			return true;
	return false;
}

bool conf_pool_asks_v6(const struct conf_pool *pool)
{
	if (pool->forward == FORWARD_TUNNEL)
		return pool->tunnel.local.port && !addr_is_v4(&pool->tunnel.local);
	return pool->nat.source_count > 0 && !family_has_source(&pool->nat, true);
}

/* The address that the kernel would use towards `to`: a connected UDP socket knows, and sends nothing. */
static bool kernel_source(const struct addr *to, struct conf_prefix *out)
{
	struct sockaddr_storage sockaddr;
	socklen_t len = io_sockaddr(&sockaddr, to);
	int fd = socket(sockaddr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool found = fd >= 0 && connect(fd, (struct sockaddr *)&sockaddr, len) == 0;

	len = sizeof sockaddr;
	found = found && getsockname(fd, (struct sockaddr *)&sockaddr, &len) == 0;
	if (fd >= 0)
		close(fd);
	if (found)
		*out = (struct conf_prefix){ .addr = io_addr(&sockaddr), .bits = (uint8_t)family_bits(to) };
	out->addr.port = 0;
	return found;
}

/* One of each family that backends have. */
static bool kernel_sources(struct conf_reader *reader, struct conf_place place, struct conf_pool *pool)
{
	struct conf_nat *nat = &pool->nat;
	char text[ADDR_TEXT_OCTETS];

	nat->single = true;
	nat->source_count = 0;
	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct addr *backend = &pool->backends[i].addr;
		if (!backend->port || family_has_source(nat, addr_is_v4(backend)))
			continue;
		if (!kernel_source(backend, &nat->sources[nat->source_count])) {
			conf_error(reader, place,
				   "no sources, and no route to backends[%zu] at %s that would tell one; give an "
				   "address of this host or a "
				   "prefix",
				   pool->backends[i].entry, addr_format(backend, text));
			return false;
		}
		nat->source_count++;
	}
	return true;
}

static bool default_sources(struct conf_reader *reader, struct conf_place place, struct conf_pool *pool)
{
	static const struct conf_prefix loopback = { .addr.ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [13] = 64 },
						     .bits = 10 };

	for (size_t i = 0; i < pool->backend_count; i++)
		if (pool->backends[i].host) {
			conf_error(reader, place,
				   "no sources, and the name of backends[%zu] does not tell them; give an address of "
				   "this host or a prefix",
				   pool->backends[i].entry);
			return false;
		}
	if (first_remote(pool, NULL))
		return kernel_sources(reader, place, pool);
	pool->nat.sources[0] = loopback;
	pool->nat.source_count = 1;
	return true;
}

bool conf_pool_uses(const struct conf_pool *pool, bool v4)
{
	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct conf_backend *backend = &pool->backends[i];
		if (backend->addr.port && (backend->host ? !conf_pool_asks_v6(pool) : addr_is_v4(&backend->addr)) == v4)
			return true;
	}
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
		conf_error(reader, place, "%s/%u is on loopback, backends[%zu] is not",
			   addr_format(&source->addr, text), source->bits, remote->entry);
		break;
	}
	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct addr *a = &pool->backends[i].addr;
		if (!has_address(&pool->backends[i]) || family_has_source(&pool->nat, addr_is_v4(a)))
			continue;
		conf_error(reader, place, "no source is IPv%d, as backends[%zu] at %s needs", addr_is_v4(a) ? 4 : 6,
			   pool->backends[i].entry, addr_format(a, text));
		break;
	}
}

/* Of prefixes: several multiply the endpoints, which makes collisions rare; but each is a socket, and splits the
 * batches of system calls.
 */
static unsigned default_last_port(const struct conf_nat *nat)
{
	if (nat->single)
		return SINGLE_PORT_LAST;
	for (size_t i = 0; i < nat->source_count; i++)
		if (family_bits(&nat->sources[i].addr) - nat->sources[i].bits < PORTS_BITS)
			return PORT_LAST;
	return PORT_FIRST;
}

static bool read_ports(struct conf_reader *reader, const struct conf_value *ports, struct conf_nat *nat)
{
	const char *at = ports->text;
	char quoted[CONF_QUOTE_OCTETS];
	unsigned first = nat->single ? SINGLE_PORT_FIRST : PORT_FIRST, last = default_last_port(nat);
	const unsigned most = nat->single ? UINT16_MAX : MAX_PORTS;

	if (ports->found == CONF_WRONG)
		return false;
	if (at) {
		bool good = parse_number(&at, UINT16_MAX, &first);
		last = first;
		if (good && *at == '-') {
			at++;
			good = parse_number(&at, UINT16_MAX, &last);
		}
		if (!good || *at || first > last || last - first >= most) {
			conf_error(reader, ports->place,
				   "%s is no port range; accepted: PORT, or LOW-HIGH of at most %u ports",
				   conf_quote(quoted, ports->text), most);
			return false;
		}
	}
	nat->port_first = (uint16_t)first;
	nat->port_last = (uint16_t)last;
	return true;
}

/* An endpoint's socket is bound to its port on the wildcard address. Pools may share ports: they share the sockets
 * then. */
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
			conf_error(reader, place, "%u-%u has the port of listeners[%zu], %s", nat->port_first,
				   nat->port_last, i, addr_format(a, text));
	}
}

/* Endpoints of a family that no backend has are of no use. An endpoint of a prefix is for one session, so that it may
 * have it for life; a port of a single address is for one per backend. */
static uint64_t endpoints_of(const struct conf_pool *pool)
{
	const struct conf_nat *nat = &pool->nat;
	uint64_t endpoints = 0;

	for (size_t i = 0; !nat->single && i < nat->source_count; i++) {
		const struct conf_prefix *source = &nat->sources[i];
		const unsigned host_bits = family_bits(&source->addr) - source->bits;
		if (conf_pool_uses(pool, addr_is_v4(&source->addr)))
			endpoints += ((uint64_t)1 << (host_bits < 32 ? host_bits : 32)) * conf_nat_ports(nat);
	}
	for (size_t i = 0; nat->single && i < pool->backend_count; i++)
		endpoints += pool->backends[i].addr.port ? conf_nat_ports(nat) : 0;
	return endpoints;
}

static void check_endpoints(struct conf_reader *reader, const struct conf_value *max_flows, struct conf_pool *pool)
{
	struct conf_nat *nat = &pool->nat;
	const uint64_t endpoints = endpoints_of(pool);

	if (endpoints == 0 || endpoints >= nat->max_flows)
		return;
	if (max_flows->found == CONF_ABSENT && nat->single)
		nat->max_flows = (uint32_t)endpoints;
	else
		conf_error(reader, max_flows->place,
			   "%" PRIu32 " flows need as many endpoints; sources and ports give %" PRIu64, nat->max_flows,
			   endpoints);
}

/* Each port of a single address is a descriptor once a flow needs it. Where one pool alone is too much, this is the
 * better line than that of the sum. */
static void check_descriptors(struct conf_reader *reader, struct conf_place place, const struct conf_pool *pool)
{
	const uint64_t needed = conf_address_ports(pool), left = conf_descriptors_left(reader->conf);

	if (needed > left)
		conf_error(reader, place,
			   "%u-%u may need %" PRIu64 " descriptors; the limit (ulimit -Hn) leaves %" PRIu64,
			   pool->nat.port_first, pool->nat.port_last, needed, left);
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
		check_descriptors(reader, values[NAT_PORTS].place, pool);
		if (values[NAT_MAX_FLOWS].found != CONF_WRONG)
			check_endpoints(reader, &values[NAT_MAX_FLOWS], pool);
	}
}
