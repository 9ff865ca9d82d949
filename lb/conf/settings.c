#include "conf/settings.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hex.h"
#include "common/siphash.h"
#include "conf/read.h"

/* Takes ownership of `value`. */
static struct setting *add_value(struct settings *to, const char *option, char *value)
{
	struct setting *setting = &to->of[to->count++];

	*setting = (struct setting){ .option = option, .value = value };
	to->no_memory |= !value;
	return setting;
}

static __attribute__((format(printf, 3, 4))) struct setting *add(struct settings *to, const char *option,
								 const char *format, ...)
{
	char *value = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&value, format, args) < 0)
		value = NULL;
	va_end(args);
	return add_value(to, option, value);
}

static void add_text(struct settings *to, const char *option, const char *text)
{
	add_value(to, option, strdup(text ? text : ""));
}

static void add_number(struct settings *to, const char *option, bool applies, uint64_t number)
{
	if (applies)
		add(to, option, "%" PRIu64, number);
	else
		add_text(to, option, "");
}

static void add_addr(struct settings *to, const char *option, bool applies, const struct addr *addr)
{
	char text[ADDR_TEXT_OCTETS];

	add_text(to, option, applies ? addr_format(addr, text) : "");
}

/* `option` may be one of a group: only its last word is in the section's table. */
static void add_word(struct settings *to, const char *option, const struct conf_section *section, bool applies,
		     unsigned word)
{
	const char *dot = strrchr(option, '.'), *name = dot ? dot + 1 : option;

	for (size_t i = 0; applies && i < section->count; i++) {
		if (strcmp(section->options[i].name, name) == 0) {
			add_text(to, option, section->options[i].words[word]);
			return;
		}
	}
	add_text(to, option, "");
}

/* What is kept of a secret serves to compare, and is shown to nobody. */
static void add_secret(struct settings *to, const char *option, const void *octets, size_t len)
{
	static const uint8_t any[16];
	const struct siphash_key key = siphash_key_load(any);

	if (len > 0)
		add(to, option, "%016" PRIx64, siphash24(&key, octets, len))->secret = true;
	else
		add(to, option, "%s", "")->secret = true;
}

/* A list that grows as text, with blanks between. */
struct words {
	FILE *stream;
	char *text;
	size_t len;
};

static void words_begin(struct words *words)
{
	*words = (struct words){ 0 };
	words->stream = open_memstream(&words->text, &words->len);
}

static __attribute__((format(printf, 2, 3))) void words_add(struct words *words, const char *format, ...)
{
	va_list args;

	if (!words->stream)
		return;
	if (ftell(words->stream) > 0)
		fputc(' ', words->stream);
	va_start(args, format);
	vfprintf(words->stream, format, args);
	va_end(args);
}

static void add_words(struct settings *to, const char *option, struct words *words)
{
	const bool whole = words->stream && !ferror(words->stream);

	if (words->stream && fclose(words->stream) == 0 && whole) {
		add_value(to, option, words->text);
		return;
	}
	free(words->text);
	add_value(to, option, NULL);
}

void settings_of_file(struct settings *out, const struct conf *conf)
{
	struct words hosts, interfaces;

	*out = (struct settings){ 0 };
	add_number(out, "workers", true, conf->workers);
	add_number(out, "rcvbuf_octets", true, conf->rcvbuf_octets);
	add_text(out, "user", conf->user ? conf->user : "cidlb");
	add_secret(out, "hash_key", conf->hash_key, sizeof conf->hash_key);
	add_secret(out, "hash_key_previous", conf->previous_key,
		   conf->has_previous_key ? sizeof conf->previous_key : 0);
	add_text(out, "state_file", conf->state_file);
	add_addr(out, "admin.http", conf->has_http, &conf->http);
	words_begin(&hosts);
	for (size_t i = 0; i < conf->host_count; i++)
		words_add(&hosts, "%s", conf->hosts[i]);
	add_words(out, "admin.hosts", &hosts);
	add_text(out, "admin.socket", conf->socket);
	add_addr(out, "redis.address", conf->has_redis, &conf->redis.addr);
	add_text(out, "redis.user", conf->redis.user);
	add_secret(out, "redis.password", conf->redis.password, conf->redis.password_len);
	add_text(out, "redis.prefix", conf->redis.prefix);
	words_begin(&interfaces);
	for (size_t i = 0; i < conf->fast.interface_count; i++)
		words_add(&interfaces, "%s", conf->fast.interfaces[i]);
	add_words(out, "fast.interfaces", &interfaces);
	add_word(out, "fast.attach", &conf_section_fast, conf->fast.interface_count > 0, conf->fast.attach);
	add_number(out, "fast.linger_s", conf->fast.interface_count > 0, conf->fast.linger_s);
}

void settings_of_listener(struct settings *out, const struct conf *conf, const struct conf_listener *listener)
{
	*out = (struct settings){ 0 };
	add_addr(out, "address", true, &listener->addr);
	add_text(out, "pool", conf->pools[listener->pool].name);
	add_text(out, "freebind", listener->freebind ? "true" : "false");
}

static const char *scheme_of(const struct conf_pool *pool)
{
	if (pool->protocol == POOL_UDP)
		return "";
	if (pool->layout.scheme == CID_LAYOUT_HASH)
		return "hash";
	if (pool->layout.scheme == CID_LAYOUT_NONE)
		return "none";
	if (pool->layout.scheme == CID_LAYOUT_LEARNED)
		return "learned";
	return pool->layout.rotations ? "quic-lb" : "node-id";
}

/* The keys of configs are a secret together. */
static void add_cid(struct settings *to, const struct conf_pool *pool)
{
	static const uint8_t any[16];
	const struct siphash_key key = siphash_key_load(any);
	const struct cid_layout *layout = &pool->layout;
	const bool is_node_id = layout->scheme == CID_LAYOUT_ID && !layout->rotations;
	const uint64_t hash = cid_layout_hash(layout, &key);
	struct words configs;

	add_text(to, "cid.scheme", scheme_of(pool));
	add_number(to, "cid.length", layout->length > 0 && !layout->rotations, layout->length);
	add_number(to, "cid.max_cids", pool->max_cids > 0, pool->max_cids);
	add_number(to, "cid.offset", is_node_id, layout->lbcid.offset);
	add_number(to, "cid.size", is_node_id, layout->lbcid.size);
	words_begin(&configs);
	for (uint8_t rotation = 0; layout->rotations && rotation < LBCID_ROTATIONS; rotation++) {
		const struct lbcid_config *config = cid_config(layout, rotation);

		if (config)
			words_add(&configs, "%s%u:%u+%u%s", layout->lbcid.rotation == rotation ? "*" : "", rotation,
				  config->size, config->length - 1 - config->size, config->key ? "" : ":open");
	}
	add_words(to, "cid.configs", &configs);
	add_secret(to, "cid.configs.key", &hash, layout->rotations ? sizeof hash : 0);
}

static void add_nat(struct settings *to, const struct conf_pool *pool)
{
	const struct conf_nat *nat = &pool->nat;
	const bool is_nat = pool->forward == FORWARD_NAT;
	char text[ADDR_TEXT_OCTETS];
	struct words sources;

	add_word(to, "nat.rebind", &conf_section_nat, is_nat, nat->rebind);
	words_begin(&sources);
	for (size_t i = 0; i < nat->source_count; i++)
		words_add(&sources, "%s/%u", addr_format(&nat->sources[i].addr, text), nat->sources[i].bits);
	add_words(to, "nat.sources", &sources);
	if (is_nat)
		add(to, "nat.ports", "%u-%u", nat->port_first, nat->port_last);
	else
		add_text(to, "nat.ports", "");
	add_number(to, "nat.idle_s", is_nat, nat->idle_s);
	add_number(to, "nat.cid_idle_s", is_nat, nat->cid_idle_s);
	add_number(to, "nat.max_flows", is_nat, nat->max_flows);
	add_word(to, "nat.contest", &conf_section_nat, is_nat, nat->contest);
	add_number(to, "nat.unproven_rate", is_nat, nat->unproven_rate);
	add_word(to, "nat.endpoint", &conf_section_nat, is_nat, nat->endpoint);
}

static void add_tunnel(struct settings *to, const struct conf_pool *pool)
{
	const struct conf_tunnel *tunnel = &pool->tunnel;
	const bool is_tunnel = pool->forward == FORWARD_TUNNEL;
	struct siphash_key keys[PROXY2_KEYS];
	struct words ids;

	for (size_t i = 0; i < tunnel->keys.count; i++)
		keys[i] = tunnel->keys.keys[i].key;
	add_addr(to, "tunnel.local", is_tunnel, &tunnel->local);
	words_begin(&ids);
	for (size_t i = 0; i < tunnel->keys.count; i++)
		words_add(&ids, "%u", tunnel->keys.keys[i].id);
	add_words(to, "tunnel.keys.id", &ids);
	add_secret(to, "tunnel.keys.key", keys, tunnel->keys.count * sizeof keys[0]);
	add_word(to, "tunnel.reply", &conf_section_tunnel, is_tunnel, tunnel->reply);
	add_number(to, "tunnel.cid_idle_s", is_tunnel, tunnel->cid_idle_s);
}

static void add_dsr(struct settings *to, const struct conf_pool *pool)
{
	const bool is_dsr = pool->forward == FORWARD_DSR;

	add_word(to, "dsr.encap", &conf_section_dsr, is_dsr, pool->dsr.encap);
	add_number(to, "dsr.cid_idle_s", is_dsr, pool->dsr.cid_idle_s);
}

static void add_health(struct settings *to, const struct conf_pool *pool)
{
	const struct conf_health *health = &pool->health;

	add_word(to, "health.probe", &conf_section_health, true, health->probe);
	add_number(to, "health.interval_ms", true, health->interval_ms);
	add_number(to, "health.timeout_ms", true, health->timeout_ms);
	add_number(to, "health.rise", true, health->rise);
	add_number(to, "health.fall", true, health->fall);
	add_word(to, "health.all_down", &conf_section_health, true, pool->all_down);
	add_number(to, "health.port", health->port != 0, health->port);
	add_text(to, "health.path", health->path);
	add_secret(to, "health.psk_identity", health->psk_identity,
		   health->psk_identity ? strlen(health->psk_identity) : 0);
	add_secret(to, "health.psk_key", health->psk_key, health->psk_key_len);
}

void settings_of_pool(struct settings *out, const struct conf_pool *pool)
{
	*out = (struct settings){ 0 };
	add_word(out, "protocol", &conf_section_pool, true, pool->protocol);
	add_word(out, "forward", &conf_section_pool, true, pool->forward);
	add_word(out, "affinity", &conf_section_pool, true, pool->affinity);
	add_word(out, "unknown_cid", &conf_section_pool, true, pool->unknown_cid);
	add_cid(out, pool);
	add_number(out, "max_resumable", pool->protocol == POOL_DTLS, pool->max_resumable);
	add_nat(out, pool);
	add_tunnel(out, pool);
	add_dsr(out, pool);
	add_text(out, "fast", pool->only_sockets ? "false" : "true");
	add_health(out, pool);
	add_number(out, "hello_rate.pool", true, pool->hello_rate.pool);
	add_number(out, "hello_rate.backend", true, pool->hello_rate.backend);
	add_number(out, "hello_rate.prefix", true, pool->hello_rate.prefix);
}

static void add_may_claim(struct settings *to, const struct conf_backend *backend)
{
	char hex[HEX_TEXT_OCTETS(LBCID_MAX_ID_OCTETS)];
	struct words ids;

	words_begin(&ids);
	if (backend->may_claim_any)
		words_add(&ids, "any");
	for (size_t i = 0; i < backend->may_claim_count; i++)
		words_add(&ids, "%s",
			  hex_write(hex, sizeof hex, backend->may_claim[i].octets, backend->may_claim[i].len));
	add_words(to, "may_claim", &ids);
}

void settings_of_backend(struct settings *out, const struct conf_backend *backend)
{
	char hex[HEX_TEXT_OCTETS(LBCID_MAX_ID_OCTETS)] = "";

	*out = (struct settings){ 0 };
	if (backend->has_id)
		hex_write(hex, sizeof hex, backend->id.octets, backend->id.len);
	add_text(out, "id", hex);
	if (backend->host)
		add(out, "address", "%s:%u", backend->host, backend->addr.port);
	else
		add_addr(out, "address", true, &backend->addr);
	add_number(out, "weight", true, backend->weight);
	add_word(out, "state", &conf_section_backend, true, backend->admin);
	add_may_claim(out, backend);
}

void settings_free(struct settings *settings)
{
	for (size_t i = 0; i < settings->count; i++)
		free(settings->of[i].value);
	settings->count = 0;
}
