#include "control/stateless.h"

#include <stdio.h>

const struct conf_listener *stateless_listener(const struct conf *conf, size_t pool)
{
	const struct conf_nat *nat = &conf->pools[pool].nat;
	const struct conf_listener *only = NULL;

	if (nat->rebind != REBIND_BACKEND || nat->source_count != 1 || addr_is_v4(&nat->sources[0].addr) ||
	    nat->sources[0].bits > EMBED_BITS_MAX)
		return NULL;
	for (size_t i = 0; i < conf->listener_count; i++) {
		const struct conf_listener *listener = &conf->listeners[i];

		if (listener->pool != pool)
			continue;
		if (only || !addr_is_v4(&listener->addr) || addr_is_wildcard(&listener->addr))
			return NULL;
		only = listener;
	}
	return only;
}

const char *stateless_explain(char text[static STATELESS_TEXT_OCTETS], const struct conf *conf, size_t pool)
{
	const struct conf_prefix *prefix = &conf->pools[pool].nat.sources[0];
	char first[ADDR_TEXT_OCTETS], service[ADDR_TEXT_OCTETS];

	snprintf(text, STATELESS_TEXT_OCTETS,
		 "runs without a table: servers see addresses in %s/%u that carry those of the devices of %s and a "
		 "check of %u bits",
		 addr_format(&prefix->addr, first), prefix->bits,
		 addr_format(&stateless_listener(conf, pool)->addr, service), embed_check_bits(prefix->bits));
	return text;
}

static struct siphash_key key_of(const uint8_t octets[static 16], const char *pool)
{
	const struct siphash_key key = siphash_key_load(octets);
	char label[160];

	snprintf(label, sizeof label, "stateless:%s", pool);
	return siphash_key_derive(&key, label);
}

struct stateless stateless_make(const struct conf *conf, size_t pool, const uint16_t *listener_uids)
{
	const struct conf_listener *listener = stateless_listener(conf, pool);
	const struct conf_pool *of = &conf->pools[pool];
	struct stateless stateless = {
		.embed = embed_make(&of->nat.sources[0].addr, of->nat.sources[0].bits, &listener->addr),
		.port = of->nat.port_first,
		.listener = listener_uids[listener - conf->listeners],
	};

	stateless.embed.keys[stateless.embed.key_count++] = key_of(conf->hash_key, of->name);
	if (conf->has_previous_key)
		stateless.embed.keys[stateless.embed.key_count++] = key_of(conf->previous_key, of->name);
	return stateless;
}
