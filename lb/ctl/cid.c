#include "ctl/cid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sys/random.h>

#include <jansson.h>

#include "common/hex.h"
#include "common/plural.h"
#include "ctl/configuration.h"

enum { MAX_COUNT = 1000, TEXT_OCTETS = HEX_TEXT_OCTETS(LBCID_MAX_OCTETS) };

static enum ctl_exit misused(const char *option, const char *accepted, const char *text)
{
	fprintf(stderr, "cidlbctl: %s takes %s, not %s\n", option, accepted, text);
	return CTL_USAGE;
}

/* Reads decimal digits, and no more than `max`. */
static bool read_number(uint64_t *out, const char *text, uint64_t max)
{
	errno = 0;
	*out = strtoull(text, NULL, 10);
	return strspn(text, "0123456789") == strlen(text) && *text && errno == 0 && *out <= max;
}

static const struct conf_backend *backend_of(const struct conf_pool *pool, const struct server_id *id)
{
	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct conf_backend *backend = &pool->backends[i];
		if (backend->has_id && backend->id.len == id->len &&
		    memcmp(backend->id.octets, id->octets, id->len) == 0)
			return backend;
	}
	return NULL;
}

/* NULL: there is no pool of that name, or not exactly one without a name. It was said. */
static const struct conf_pool *choose_pool(const struct conf *conf, const char *name)
{
	const struct conf_pool *found = NULL;
	size_t count = 0;

	for (size_t i = 0; i < conf->pool_count; i++) {
		const struct conf_pool *pool = &conf->pools[i];
		if (cid_id_octets(&pool->layout) && (!name || strcmp(pool->name, name) == 0)) {
			found = pool;
			count++;
		}
	}
	if (count == 1)
		return found;
	if (name)
		fprintf(stderr, "cidlbctl: no pool with server ids in its CIDs is called %s; there are:", name);
	else
		fprintf(stderr, "cidlbctl: choose with --pool one of:");
	for (size_t i = 0; i < conf->pool_count; i++)
		if (cid_id_octets(&conf->pools[i].layout))
			fprintf(stderr, " %s", conf->pools[i].name);
	fputc('\n', stderr);
	return NULL;
}

static bool find_id(struct server_id *out, const struct conf_pool *pool, const char *of)
{
	const size_t octets = cid_id_octets(&pool->layout);
	uint64_t number;

	for (size_t i = 0; i < pool->backend_count; i++) {
		if (pool->backends[i].has_id && strcmp(pool->backends[i].name, of) == 0) {
			*out = pool->backends[i].id;
			return true;
		}
	}
	if (strncmp(of, "0x", 2) == 0
		    ? cid_id_from_hex(out, &pool->layout, of + 2) == 0
		    : read_number(&number, of, UINT64_MAX) && cid_id_from_number(out, &pool->layout, number) == 0)
		return true;
	fprintf(stderr,
		"cidlbctl: pool %s has no backend %s, nor is that a server id: a number of %zu octet%s, or 0x and "
		"%zu hex digits\n",
		pool->name, of, octets, PLURAL(octets), 2 * octets);
	return false;
}

/* NULL: there is no such rotation, and it was said. */
static const struct lbcid_config *choose_config(const struct conf_pool *pool, const char *rotation)
{
	const struct lbcid_config *config;
	uint64_t number;

	if (!rotation)
		return &pool->layout.lbcid;
	if (!pool->layout.rotations) {
		fprintf(stderr, "cidlbctl: the CIDs of pool %s have no rotation\n", pool->name);
		return NULL;
	}
	config =
		read_number(&number, rotation, LBCID_ROTATIONS - 1) ? cid_config(&pool->layout, (uint8_t)number) : NULL;
	if (!config)
		fprintf(stderr, "cidlbctl: no config of pool %s has rotation %s\n", pool->name, rotation);
	return config;
}

static int fill_random(void *ctx, uint8_t *out, size_t len)
{
	(void)ctx;
	return getrandom(out, len, 0) == (ssize_t)len ? 0 : -1;
}

static enum ctl_exit print_json(const json_t *root, FILE *out)
{
	const bool done =
		root && json_dumpf(root, out, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0 && fputc('\n', out) != EOF;

	return done ? CTL_OK : CTL_REFUSED;
}

static void add_config(json_t *root, const struct conf_pool *pool, const struct lbcid_config *config)
{
	if (!pool->layout.rotations)
		return;
	json_object_set_new(root, "rotation", json_integer(config->rotation));
	json_object_set_new(root, "encrypted", json_boolean(config->key));
}

static void add_backend(json_t *root, const struct conf_pool *pool, const struct server_id *id)
{
	const struct conf_backend *backend = backend_of(pool, id);
	char text[TEXT_OCTETS];

	json_object_set_new(root, "server_id", json_string(hex_write(text, sizeof text, id->octets, id->len)));
	json_object_set_new(root, "backend", backend ? json_string(backend->name) : json_null());
}

static bool mint_all(json_t *cids, const struct lbcid_config *config, const struct server_id *id, uint64_t count)
{
	uint8_t cid[LBCID_MAX_OCTETS];
	char text[TEXT_OCTETS];

	for (uint64_t i = 0; i < count; i++) {
		if (lbcid_mint(config, id->octets, fill_random, NULL, cid) != 0) {
			fprintf(stderr, "cidlbctl: no random octets\n");
			return false;
		}
		json_array_append_new(cids, json_string(hex_write(text, sizeof text, cid, config->length)));
	}
	return true;
}

enum ctl_exit cid_mint(const struct conf *conf, const char *pool_name, const char *of,
		       const struct ctl_options *options, FILE *out)
{
	const struct conf_pool *pool = choose_pool(conf, pool_name);
	enum ctl_exit status = CTL_OK;
	const struct lbcid_config *config;
	struct server_id id;
	uint64_t count = 1;

	if (options->count && (!read_number(&count, options->count, MAX_COUNT) || count == 0))
		return misused("--count", "1..1000", options->count);
	if (!pool || !find_id(&id, pool, of) || !(config = choose_config(pool, options->rotation)))
		return CTL_REFUSED;
	json_t *cids = json_array(), *root = json_pack("{s:s, s:O}", "pool", pool->name, "cids", cids);
	add_config(root, pool, config);
	add_backend(root, pool, &id);
	if (!mint_all(cids, config, &id, count))
		status = CTL_REFUSED;
	else if (options->json)
		status = print_json(root, out);
	for (size_t i = 0; status == CTL_OK && !options->json && i < json_array_size(cids); i++)
		fprintf(out, "%s\n", json_string_value(json_array_get(cids, i)));
	json_decref(cids);
	json_decref(root);
	return status;
}

/* Reads up to `room` octets, with spaces and colons as one likes. -1: it is anything else. */
static int read_cid(uint8_t *cid, size_t room, const char *text)
{
	size_t n = 0;

	for (; *text; text++) {
		const int digit = hex_digit(*text);
		if (*text == ':' || *text == ' ')
			continue;
		if (digit < 0 || n == 2 * room)
			return -1;
		cid[n / 2] = (uint8_t)((n % 2 ? cid[n / 2] << 4 : 0) | digit);
		n++;
	}
	return n > 0 && n % 2 == 0 ? (int)(n / 2) : -1;
}

enum { WHY_OCTETS = 128 };

/* Writes why a CID is nobody's. */
static void why_not(char why[static WHY_OCTETS], const struct cid_layout *layout, const struct lbcid_config *config,
		    const uint8_t *cid, int len)
{
	if (!config)
		snprintf(why, WHY_OCTETS, "no config has rotation %u", cid[0] >> 5);
	else if (len == config->length)
		snprintf(why, WHY_OCTETS, "no backend has this id");
	else if (layout->rotations)
		snprintf(why, WHY_OCTETS, "%d octet%s; those of rotation %u have %u", len, PLURAL(len),
			 config->rotation, config->length);
	else
		snprintf(why, WHY_OCTETS, "%d octet%s; cid.length is %u", len, PLURAL(len), config->length);
}

/* What a CID says, as far as it says anything. */
struct meaning {
	const struct conf_pool *pool;
	const struct lbcid_config *config; /* NULL: none has this rotation */
	bool opened;                       /* `id` */
	struct server_id id;
	const struct conf_backend *backend; /* NULL: `why` */
	char why[WHY_OCTETS];
};

static enum ctl_exit print_meaning_json(const struct meaning *meaning, const char *cid, FILE *out)
{
	json_t *root = json_pack("{s:s, s:s}", "pool", meaning->pool->name, "cid", cid);
	enum ctl_exit status;

	if (meaning->config)
		add_config(root, meaning->pool, meaning->config);
	if (meaning->opened)
		add_backend(root, meaning->pool, &meaning->id);
	if (!meaning->backend)
		json_object_set_new(root, "why", json_string(meaning->why));
	status = print_json(root, out);
	json_decref(root);
	return status;
}

static void print_meaning(const struct meaning *meaning, FILE *out)
{
	const struct lbcid_config *config = meaning->config;
	char id[TEXT_OCTETS];

	fprintf(out, "pool      %s\n", meaning->pool->name);
	if (config && config->scheme == LBCID_QUIC_LB)
		fprintf(out, "config    rotation %u, %s\n", config->rotation,
			config->key ? "encrypted" : "not encrypted");
	if (meaning->opened)
		fprintf(out, "id        %s\n", hex_write(id, sizeof id, meaning->id.octets, meaning->id.len));
	fprintf(out, "backend   %s%s\n", meaning->backend ? meaning->backend->name : "none: ", meaning->why);
}

enum ctl_exit cid_explain(const struct conf *conf, const char *text, const struct ctl_options *options, FILE *out)
{
	struct meaning meaning = { 0 };
	uint8_t cid[LBCID_MAX_OCTETS];
	char octets[TEXT_OCTETS];

	const int len = read_cid(cid, sizeof cid, text);
	if (len < 0)
		return misused("cid open", "1..20 octets in hex", text);
	meaning.pool = choose_pool(conf, options->pool);
	if (!meaning.pool)
		return CTL_REFUSED;
	const struct cid_layout *layout = &meaning.pool->layout;
	meaning.config = cid_config(layout, cid[0] >> 5);
	meaning.opened = cid_open_octets(&meaning.id, layout, cid, (size_t)len) == CID_OPENED;
	if (meaning.opened)
		meaning.backend = backend_of(meaning.pool, &meaning.id);
	if (!meaning.backend)
		why_not(meaning.why, layout, meaning.config, cid, len);
	if (options->json &&
	    print_meaning_json(&meaning, hex_write(octets, sizeof octets, cid, (size_t)len), out) != CTL_OK)
		return CTL_REFUSED;
	if (!options->json)
		print_meaning(&meaning, out);
	return meaning.backend ? CTL_OK : CTL_REFUSED;
}

enum ctl_exit cid_mint_run(char **words, const struct ctl_options *options)
{
	struct conf *conf = configuration_load(options->file);
	const enum ctl_exit status = conf ? cid_mint(conf, words[1], words[2], options, stdout) : CTL_REFUSED;

	conf_free(conf);
	return status;
}

enum ctl_exit cid_open_run(char **words, const struct ctl_options *options)
{
	struct conf *conf = configuration_load(options->file);
	const enum ctl_exit status = conf ? cid_explain(conf, words[1], options, stdout) : CTL_REFUSED;

	conf_free(conf);
	return status;
}
