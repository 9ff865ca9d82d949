#include "control/table_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/stateless.h"
#include "control/table_bad_sources.h"
#include "path/forward.h"

_Static_assert((int)CONF_MAX_POOLS <= (int)STATS_POOLS, "a table has room for every pool");

/* Sorted, so that the endpoint of a hash does not depend on the order in the file. */
void table_build_space(struct endpoint_space *space, const struct conf_nat *nat)
{
	space->prefix_count = nat->source_count;
	for (size_t i = 0; i < nat->source_count; i++) {
		const struct conf_prefix *source = &nat->sources[i];
		const unsigned width = addr_is_v4(&source->addr) ? 32 : 128;
		size_t at = i;

		for (; at > 0 && memcmp(&space->prefixes[at - 1].first, &source->addr, sizeof source->addr) > 0; at--)
			space->prefixes[at] = space->prefixes[at - 1];
		space->prefixes[at] = (struct endpoint_prefix){ source->addr, (uint8_t)(width - source->bits) };
	}
	space->port_first = nat->port_first;
	space->port_last = nat->port_last;
}

static struct siphash_key endpoint_key(const struct siphash_key *key, const char *what, const char *name)
{
	char label[160];

	snprintf(label, sizeof label, "endpoint:%s:%s", what, name);
	return siphash_key_derive(key, label);
}

static struct port_sockets *ports_in(const struct table *table, size_t pools, const struct addr *address,
				     const struct conf_nat *nat)
{
	for (size_t i = 0; table && i < pools; i++)
		for (size_t family = 0; family < IO_FAMILIES; family++)
			if (table->pools[i].ports[family] && port_sockets_are_of(table->pools[i].ports[family], address,
										 nat->port_first, nat->port_last))
				return table->pools[i].ports[family];
	return NULL;
}

/* Sockets of single addresses stay open from table to table. Pools on one address share them. */
static bool ports_fill(struct table *table, size_t pool, const struct conf_nat *nat, const struct table *previous)
{
	for (size_t i = 0; nat->single && i < nat->source_count; i++) {
		const struct addr *address = &nat->sources[i].addr;
		struct port_sockets **ports = &table->pools[pool].ports[addr_is_v4(address) ? IO_V4 : IO_V6];
		struct port_sockets *there = ports_in(table, pool, address, nat);

		if (!there)
			there = ports_in(previous, STATS_POOLS, address, nat);
		*ports = there ? port_sockets_share(there) : port_sockets_new(address, nat->port_first, nat->port_last);
		if (!*ports)
			return false;
	}
	return true;
}

/* Sets the mode, and what it has instead of a flow table. False: out of memory. */
static bool forwarder_fill(struct table *table, size_t pool, const struct conf *conf, const uint16_t *listener_uids)
{
	struct table_pool *out = &table->pools[pool];

	out->only_sockets = conf->pools[pool].only_sockets;
	if (conf->pools[pool].forward == FORWARD_TUNNEL) {
		out->forwarder = &forward_tunnel;
		out->tunnel_keys = conf->pools[pool].tunnel.keys;
		out->tunnel_local = conf->pools[pool].tunnel.local;
		out->tunnel_direct = conf_pool_is_direct(&conf->pools[pool]);
	} else if (conf->pools[pool].forward == FORWARD_DSR) {
		out->forwarder = &forward_dsr;
		out->dsr_encap = conf->pools[pool].dsr.encap == ENCAP_L2 ? TABLE_L2 : TABLE_IPIP;
		return true;
	} else if (stateless_listener(conf, pool)) {
		out->forwarder = &forward_nat_stateless;
		out->stateless = stateless_make(conf, pool, listener_uids);
		table->stateless_pools[table->stateless_count++] = (uint16_t)pool;
	} else {
		out->forwarder =
			conf->pools[pool].nat.rebind == REBIND_BACKEND ? &forward_nat_backend : &forward_nat_follow;
		return true;
	}
	out->backend_by_addr = backend_by_addr_new(&table->snapshot->pools[pool]);
	return out->backend_by_addr;
}

/* False: out of memory. */
static bool hops_fill(struct table *table, size_t pool, const struct table_spec *spec)
{
	const struct snapshot_pool_spec *from = &spec->pools[pool];
	struct table_hop *hops = calloc(from->backend_count, sizeof *hops);

	if (hops)
		memcpy(hops, &spec->hops[from->backends - spec->backends], from->backend_count * sizeof *hops);
	table->pools[pool].hops = hops;
	return hops;
}

static const struct learned_servers *servers_in(const struct table *table, const struct learned *learned)
{
	for (size_t i = 0; table && i < STATS_POOLS; i++) {
		const struct table_pool *pool = &table->pools[i];

		if (pool->learned && pool->learned->cids == learned)
			return pool->learned;
		if (pool->sessions && pool->sessions->cids == learned)
			return pool->sessions;
	}
	return NULL;
}

/* False: out of memory. */
static bool learned_fill(struct table *table, size_t at, const struct table_spec_learned *learned,
			 const struct table *previous)
{
	const struct snapshot_pool *snapshot = &table->snapshot->pools[at];
	struct learned *cids = learned->of[LEARNED_CIDS], *sessions = learned->of[LEARNED_SESSIONS];
	struct table_pool *pool = &table->pools[at];

	if (cids) {
		pool->learned = learned_servers_new(snapshot, cids, servers_in(previous, cids));
		if (!pool->learned)
			return false;
	}
	if (sessions) {
		pool->sessions = learned_servers_new(snapshot, sessions, servers_in(previous, sessions));
		pool->session_key = siphash_key_derive(&snapshot->hash_key, "sessions");
		return pool->sessions;
	}
	return true;
}

static struct limit_rates hello_rates(const struct conf_hello_rate *rate)
{
	return (struct limit_rates){ limit_rate_make(rate->pool), limit_rate_make(rate->backend),
				     limit_rate_make(rate->prefix) };
}

struct table *table_build(const struct conf *conf, const struct table_spec *spec, const uint16_t *listener_uids,
			  const struct table *previous)
{
	struct siphash_key key = siphash_key_load(conf->hash_key);
	struct table *table = calloc(1, sizeof *table);
	struct bad_sources *bad_sources;

	if (!table)
		return NULL;
	table->snapshot = snapshot_begin(&key, spec->pools, spec->pool_count, previous ? previous->snapshot : NULL);
	if (!table->snapshot) {
		free(table);
		return NULL;
	}
	table->ifaces = backend_ifaces_new(table->snapshot);
	if (!table->ifaces) {
		table_free(table);
		return NULL;
	}
	for (size_t i = 0; i < STATS_POOLS; i++)
		table->pool_of_uid[i] = TABLE_NONE;
	for (size_t i = 0; i < STATS_LISTENERS; i++)
		table->listeners[i].pool = TABLE_NONE;
	for (size_t i = 0; i < conf->pool_count; i++) {
		const struct conf_nat *nat = &conf->pools[i].nat;
		struct table_pool *pool = &table->pools[i];

		table->pool_of_uid[spec->pools[i].uid] = (uint16_t)i;
		pool->at_handshake = nat->rebind == REBIND_FOLLOW && nat->endpoint == ENDPOINT_HANDSHAKE;
		pool->contest_home =
			nat->rebind == REBIND_FOLLOW && (nat->contest == CONTEST_HOME || pool->at_handshake);
		pool->guesses = !pool->contest_home;
		pool->unproven_rate = nat->unproven_rate;
		pool->endpoint_key = endpoint_key(&key, "pool", conf->pools[i].name);
		table_build_space(&pool->space, nat);
		pool->single = nat->single;
		pool->hello_rates = hello_rates(&conf->pools[i].hello_rate);
		if (!ports_fill(table, i, nat, previous) || !forwarder_fill(table, i, conf, listener_uids) ||
		    !learned_fill(table, i, &spec->learned[i], previous) ||
		    (conf->pools[i].forward == FORWARD_DSR && !hops_fill(table, i, spec))) {
			table_free(table);
			return NULL;
		}
	}
	bad_sources = table_bad_sources_new(conf, spec, table->pools);
	if (!bad_sources) {
		table_free(table);
		return NULL;
	}
	snapshot_take_bad_sources(table->snapshot, bad_sources);
	for (size_t i = 0; i < conf->listener_count; i++) {
		struct table_listener *listener = &table->listeners[listener_uids[i]];

		listener->pool = (uint16_t)conf->listeners[i].pool;
		listener->wildcard = addr_is_wildcard(&conf->listeners[i].addr);
		listener->addr = conf->listeners[i].addr;
		listener->endpoint_key = endpoint_key(&key, "listener", conf->listeners[i].name);
	}
	return table;
}
