#include "control/table_bad_sources.h"

#include <stdlib.h>

/* What is being listed. The arrays have room for all. */
struct list {
	struct addr *pairs;
	struct bad_prefix *prefixes;
	struct bad_single *singles;
	struct bad_sources_spec spec;
};

static void add_pair(struct list *list, const struct addr *pair)
{
	list->pairs[list->spec.pair_count++] = *pair;
}

static void add_prefix(struct list *list, const struct addr *addr, uint8_t bits, uint16_t port)
{
	struct bad_prefix *prefix = &list->prefixes[list->spec.prefix_count++];

	*prefix = (struct bad_prefix){ *addr, bits };
	prefix->addr.port = port;
}

/* A listener on a wildcard address has the addresses of this host, of its family. */
static void add_listeners(struct list *list, const struct conf *conf, const struct table_spec *spec)
{
	for (size_t i = 0; i < conf->listener_count; i++) {
		const struct addr *listener = &conf->listeners[i].addr;

		if (!addr_is_wildcard(listener)) {
			add_pair(list, listener);
			continue;
		}
		for (size_t j = 0; j < spec->host.count; j++) {
			const struct host_prefix *host = &spec->host.at[j];
			struct addr pair = host->addr;
			const bool v4 = addr_is_v4(&pair);

			pair.port = listener->port;
			if (v4 != addr_is_v4(listener))
				continue;
			if (host->bits == (v4 ? 32 : 128))
				add_pair(list, &pair);
			else
				add_prefix(list, &pair, host->bits, listener->port);
		}
	}
}

/* Each worker has a port of its own, and the probes have the one after these. */
static void add_tunnel(struct list *list, const struct conf_tunnel *tunnel, unsigned workers)
{
	for (unsigned i = 0; tunnel->local.port && i <= workers; i++) {
		struct addr local = tunnel->local;

		local.port = (uint16_t)(local.port + i);
		add_pair(list, &local);
	}
}

/* `pool` NULL: none of its ports is open. */
static void add_nat(struct list *list, const struct conf_nat *nat, const struct table_pool *pool)
{
	for (size_t i = 0; i < nat->source_count; i++) {
		const struct conf_prefix *source = &nat->sources[i];
		const enum io_family family = addr_is_v4(&source->addr) ? IO_V4 : IO_V6;

		if (!nat->single)
			add_prefix(list, &source->addr, source->bits, 0);
		else if (pool)
			list->singles[list->spec.single_count++] =
				(struct bad_single){ source->addr, port_sockets_open(pool->ports[family]) };
	}
}

static void add_all(struct list *list, const struct conf *conf, const struct table_spec *spec,
		    const struct table_pool *pools)
{
	add_listeners(list, conf, spec);
	for (size_t i = 0; i < spec->backend_count; i++)
		add_pair(list, &spec->backends[i].addr);
	for (size_t i = 0; i < conf->pool_count; i++) {
		add_tunnel(list, &conf->pools[i].tunnel, conf->workers);
		add_nat(list, &conf->pools[i].nat, pools ? &pools[i] : NULL);
	}
	list->spec.pairs = list->pairs;
	list->spec.prefixes = list->prefixes;
	list->spec.singles = list->singles;
}

struct bad_sources *table_bad_sources_new(const struct conf *conf, const struct table_spec *spec,
					  const struct table_pool *pools)
{
	const size_t of_host = conf->listener_count * (spec->host.count + 1),
		     of_nat = conf->pool_count * CONF_MAX_SOURCES,
		     of_tunnels = conf->pool_count * ((size_t)conf->workers + 1);
	struct list list = {
		.pairs = calloc(of_host + of_tunnels + spec->backend_count, sizeof *list.pairs),
		.prefixes = calloc(of_host + of_nat, sizeof *list.prefixes),
		.singles = calloc(of_nat, sizeof *list.singles),
	};
	struct bad_sources *sources = NULL;

	if (list.pairs && list.prefixes && list.singles) {
		add_all(&list, conf, spec, pools);
		sources = bad_sources_new(&list.spec);
	}
	free(list.pairs);
	free(list.prefixes);
	free(list.singles);
	return sources;
}
