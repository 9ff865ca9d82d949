#include "control/fingerprint.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/hex.h"
#include "common/siphash.h"
#include "control/stateless.h"

/* The sum of the hashes of lines of text. No line occurs twice. A sum does not show the order of the lines. */
struct fingerprint {
	struct siphash_key key;
	uint64_t sum;
};

enum { LINE_OCTETS = 640 };

static __attribute__((format(printf, 2, 3))) void add_line(struct fingerprint *to, const char *format, ...)
{
	char line[LINE_OCTETS];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	to->sum += siphash24(&to->key, line, strlen(line));
}

static void add_backend(struct fingerprint *to, const struct conf_pool *pool, const struct conf_backend *backend)
{
	char address[ADDR_TEXT_OCTETS], id[HEX_TEXT_OCTETS(LBCID_MAX_ID_OCTETS)] = "-";

	if (backend->has_id)
		hex_write(id, sizeof id, backend->id.octets, backend->id.len);
	add_line(to, "backend %s %s id %s weight %u state %d at %s port %u", pool->name, backend->name, id,
		 backend->weight, (int)backend->admin,
		 backend->host ? backend->host : addr_format(&backend->addr, address), backend->addr.port);
}

/* Nodes that let a backend claim other ids may have other owners. */
static void add_may_claim(struct fingerprint *to, const struct conf_pool *pool, const struct conf_backend *backend)
{
	char id[HEX_TEXT_OCTETS(LBCID_MAX_ID_OCTETS)];

	if (backend->may_claim_any)
		add_line(to, "backend %s %s may claim any", pool->name, backend->name);
	for (size_t i = 0; i < backend->may_claim_count; i++)
		add_line(to, "backend %s %s may claim %s", pool->name, backend->name,
			 hex_write(id, sizeof id, backend->may_claim[i].octets, backend->may_claim[i].len));
}

static void add_tunnel(struct fingerprint *to, const struct conf_pool *pool)
{
	const struct proxy2_keys *keys = &pool->tunnel.keys;

	add_line(to, "tunnel %s%s", pool->name, conf_pool_is_direct(pool) ? " direct" : "");
	for (size_t i = 0; i < keys->count; i++)
		add_line(to, "tunnel %s key %zu id %u %016" PRIx64, pool->name, i, keys->keys[i].id,
			 siphash_key_derive(&keys->keys[i].key, "fingerprint").k0);
}

/* Any node must deliver what comes to an endpoint that another one made, so this must agree. */
static void add_stateless(struct fingerprint *to, const struct conf *conf, size_t pool)
{
	const struct conf_nat *nat = &conf->pools[pool].nat;
	const struct conf_listener *listener = stateless_listener(conf, pool);
	char prefix[ADDR_TEXT_OCTETS], service[ADDR_TEXT_OCTETS];

	if (listener)
		add_line(to, "stateless %s in %s/%u port %u of %s", conf->pools[pool].name,
			 addr_format(&nat->sources[0].addr, prefix), nat->sources[0].bits, nat->port_first,
			 addr_format(&listener->addr, service));
}

static void add_pool(struct fingerprint *to, const struct conf_pool *pool)
{
	add_line(to,
		 "pool %s protocol %d affinity %d unknown_cid %d all_down %d rebind %d contest %d endpoint %d cid "
		 "%016" PRIx64,
		 pool->name, (int)pool->protocol, (int)pool->affinity, (int)pool->unknown_cid, (int)pool->all_down,
		 (int)pool->nat.rebind, (int)pool->nat.contest, (int)pool->nat.endpoint,
		 cid_layout_hash(&pool->layout, &to->key));
	if (pool->forward == FORWARD_TUNNEL)
		add_tunnel(to, pool);
	if (pool->forward == FORWARD_DSR)
		add_line(to, "dsr %s", pool->name);
	for (size_t i = 0; i < pool->backend_count; i++) {
		add_backend(to, pool, &pool->backends[i]);
		add_may_claim(to, pool, &pool->backends[i]);
	}
}

static void add_previous_key(struct fingerprint *to, const uint8_t octets[static 16])
{
	const struct siphash_key previous = siphash_key_load(octets);

	add_line(to, "previous %016" PRIx64, siphash_key_derive(&previous, "fingerprint").k0);
}

const char *fingerprint_format(char text[static FINGERPRINT_TEXT_OCTETS], const struct conf *conf)
{
	const struct siphash_key key = siphash_key_load(conf->hash_key);
	struct fingerprint to = { .key = siphash_key_derive(&key, "fingerprint") };

	for (size_t i = 0; i < conf->pool_count; i++) {
		add_pool(&to, &conf->pools[i]);
		if (conf->pools[i].forward == FORWARD_NAT)
			add_stateless(&to, conf, i);
	}
	for (size_t i = 0; i < conf->listener_count; i++) {
		const struct conf_listener *listener = &conf->listeners[i];

		add_line(&to, "listener %s port %u pool %s", listener->name, listener->addr.port,
			 conf->pools[listener->pool].name);
	}
	if (conf->has_previous_key)
		add_previous_key(&to, conf->previous_key);
	snprintf(text, FINGERPRINT_TEXT_OCTETS, "%016" PRIx64, to.sum);
	return text;
}
