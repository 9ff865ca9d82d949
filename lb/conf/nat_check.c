/* What the sources and ports of pools of mode nat mean for their backends, for listeners, and for this host. */
#include <inttypes.h>

#include "conf/machine.h"
#include "conf/prefix.h"
#include "conf/read.h"

static bool family_has_source(const struct conf_nat *nat, bool v4)
{
	for (size_t i = 0; i < nat->source_count; i++)
		if (addr_is_v4(&nat->sources[i].addr) == v4)
			return true;
	return false;
}

bool conf_pool_asks_v6(const struct conf_pool *pool)
{
	if (pool->forward == FORWARD_DSR)
		return pool->dsr.v6;
	if (pool->forward == FORWARD_TUNNEL)
		return pool->tunnel.local.port && !addr_is_v4(&pool->tunnel.local);
	return pool->nat.source_count > 0 && !family_has_source(&pool->nat, true);
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

/* Where the file gives no sources, takes one of each family that backends have, as this host would send to them. False:
 * there is no route (reported). */
static bool add_host_sources(struct conf_reader *reader, struct conf_place place, const struct conf_machine *machine,
			     struct conf_pool *pool)
{
	struct conf_nat *nat = &pool->nat;
	char text[ADDR_TEXT_OCTETS];

	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct addr *backend = &pool->backends[i].addr;
		struct conf_prefix *source = &nat->sources[nat->source_count];
		if (!backend->port || family_has_source(nat, addr_is_v4(backend)))
			continue;
		if (machine->source_towards(backend, &source->addr) < 0) {
			conf_error(reader, place,
				   "no sources, and no route to backends[%zu] at %s that would tell one; give an "
				   "address of this host or a "
				   "prefix",
				   pool->backends[i].entry, addr_format(backend, text));
			return false;
		}
		source->bits = (uint8_t)prefix_family_bits(&source->addr);
		nat->source_count++;
	}
	return true;
}

/* Replies come back only to what is this host's. Sources that it has told itself need no look. */
static void check_local(struct conf_reader *reader, struct conf_place list, const struct conf_machine *machine,
			const struct conf_nat *nat)
{
	char text[ADDR_TEXT_OCTETS];

	for (size_t i = 0; !list.absent && i < nat->source_count; i++) {
		const struct conf_prefix *source = &nat->sources[i];
		const struct conf_place place = conf_at(config_setting_get_elem(list.setting, (unsigned)i));

		if (machine->has_prefix(&source->addr, source->bits))
			continue;
		addr_format(&source->addr, text);
		if (nat->single)
			conf_error(reader, place, "%s is no address of this host", text);
		else
			conf_error(reader, place, "%s/%u is not routed to this host: ip route add local %s/%u dev lo",
				   text, source->bits, text, source->bits);
	}
}

/* The first backend that a source on loopback does not reach, or NULL. */
static const struct conf_backend *first_unreached(const struct conf_pool *pool, const struct conf_prefix *source)
{
	if (!addr_is_loopback(&source->addr))
		return NULL;
	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct conf_backend *backend = &pool->backends[i];
		if (conf_backend_has_address(backend) && !addr_is_loopback(&backend->addr) &&
		    addr_is_v4(&backend->addr) == addr_is_v4(&source->addr))
			return backend;
	}
	return NULL;
}

/* Every backend can be reached from the sources. */
static void check_reach(struct conf_reader *reader, struct conf_place place, const struct conf_pool *pool)
{
	char text[ADDR_TEXT_OCTETS];

	for (size_t i = 0; i < pool->nat.source_count; i++) {
		const struct conf_prefix *source = &pool->nat.sources[i];
		const struct conf_backend *remote = first_unreached(pool, source);
		if (!remote)
			continue;
		conf_error(reader, place, "%s/%u is on loopback, backends[%zu] is not",
			   addr_format(&source->addr, text), source->bits, remote->entry);
		break;
	}
	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct addr *a = &pool->backends[i].addr;
		if (!conf_backend_has_address(&pool->backends[i]) || family_has_source(&pool->nat, addr_is_v4(a)))
			continue;
		conf_error(reader, place, "no source is IPv%d, as backends[%zu] at %s needs", addr_is_v4(a) ? 4 : 6,
			   pool->backends[i].entry, addr_format(a, text));
		break;
	}
}

/* An endpoint's socket is bound to its port on the wildcard address. Pools that share ports share these sockets. */
static void check_ports(struct conf_reader *reader, struct conf_place place, const struct conf_nat *nat)
{
	const struct conf *conf = reader->conf;
	char text[ADDR_TEXT_OCTETS];

	for (size_t i = 0; i < conf->listener_count; i++) {
		const struct addr *a = &conf->listeners[i].addr;
		bool clash = (addr_is_wildcard(a) || !nat->single) && family_has_source(nat, addr_is_v4(a));
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
 * have it for life. A port of a single address is for one session of each backend. */
static uint64_t endpoints_of(const struct conf_pool *pool)
{
	const struct conf_nat *nat = &pool->nat;
	uint64_t endpoints = 0;

	for (size_t i = 0; !nat->single && i < nat->source_count; i++) {
		const struct conf_prefix *source = &nat->sources[i];
		const unsigned host_bits = prefix_family_bits(&source->addr) - source->bits;
		if (conf_pool_uses(pool, addr_is_v4(&source->addr)))
			endpoints += ((uint64_t)1 << (host_bits < 32 ? host_bits : 32)) * conf_nat_ports(nat);
	}
	for (size_t i = 0; nat->single && i < pool->backend_count; i++)
		endpoints += pool->backends[i].addr.port ? conf_nat_ports(nat) : 0;
	return endpoints;
}

static void check_endpoints(struct conf_reader *reader, const struct conf_nat_said *said, struct conf_pool *pool)
{
	struct conf_nat *nat = &pool->nat;
	const uint64_t endpoints = endpoints_of(pool);

	if (endpoints == 0 || endpoints >= nat->max_flows)
		return;
	if (said->max_flows_found == CONF_ABSENT && nat->single)
		nat->max_flows = (uint32_t)endpoints;
	else
		conf_error(reader, said->max_flows,
			   "%" PRIu32 " flows need as many endpoints; sources and ports give %" PRIu64, nat->max_flows,
			   endpoints);
}

/* Each port of a single address is a descriptor once a flow needs it. Where one pool alone needs too many, this line
 * helps more than that of the sum. */
static void check_descriptors(struct conf_reader *reader, struct conf_place place, const struct conf_machine *machine,
			      size_t at)
{
	const struct conf_nat *nat = &reader->conf->pools[at].nat;
	const uint64_t needed = conf_address_ports(reader->conf, at, 1);
	const uint64_t left = conf_descriptors_left(reader->conf, machine);

	if (needed > left)
		conf_error(reader, place,
			   "%u-%u may need %" PRIu64 " descriptors; the limit (ulimit -Hn) leaves %" PRIu64,
			   nat->port_first, nat->port_last, needed, left);
}

static void check_pool(struct conf_reader *reader, const struct conf_machine *machine, size_t at)
{
	const struct conf_nat_said *said = &reader->nat_said[at];
	struct conf_pool *pool = &reader->conf->pools[at];

	if (!said->sources_known ||
	    (pool->nat.source_count == 0 && !add_host_sources(reader, said->sources, machine, pool)))
		return;
	check_local(reader, said->sources, machine, &pool->nat);
	check_reach(reader, said->sources, pool);
	if (!said->ports_known)
		return;
	check_ports(reader, said->ports, &pool->nat);
	check_descriptors(reader, said->ports, machine, at);
	if (said->max_flows_found != CONF_WRONG)
		check_endpoints(reader, said, pool);
}

void conf_nats_check(struct conf_reader *reader, const struct conf_machine *machine)
{
	for (size_t i = 0; i < reader->conf->pool_count; i++)
		check_pool(reader, machine, i);
}
