/* What a configuration asks of the sharing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learned/share_priv.h"

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct share_server *)a)->name, ((const struct share_server *)b)->name);
}

struct wanted {
	const uint8_t *octets;
	size_t len;
};

static int name_compare(const void *key, const void *server)
{
	const struct wanted *wanted = key;
	const char *name = ((const struct share_server *)server)->name;
	const int order = strncmp((const char *)wanted->octets, name, wanted->len);

	return order ? order : name[wanted->len] ? -1 : 0;
}

const struct share_server *share_plan_server(const struct share_pool *pool, const uint8_t *name, size_t len)
{
	const struct wanted wanted = { name, len };

	if (len == 0 || memchr(name, '\0', len))
		return NULL;
	return bsearch(&wanted, pool->servers, pool->count, sizeof *pool->servers, name_compare);
}

static char *at_of(const struct conf_backend *backend)
{
	char text[ADDR_TEXT_OCTETS], *at = NULL;

	if (!backend->host)
		return strdup(addr_format(&backend->addr, text));
	return asprintf(&at, "%s:%u", backend->host, backend->addr.port) < 0 ? NULL : at;
}

static int pool_fill(struct share_pool *pool, const struct conf *conf, const struct conf_pool *from,
		     struct learned *cids)
{
	if (asprintf(&pool->key, "%s:%s", conf->redis.prefix, from->name) < 0) {
		pool->key = NULL;
		return -ENOMEM;
	}
	pool->name = pool->key + strlen(conf->redis.prefix) + 1;
	pool->cids = cids;
	pool->max_cids = from->max_cids;
	pool->servers = calloc(from->backend_count, sizeof *pool->servers);
	if (!pool->servers)
		return -ENOMEM;
	for (size_t i = 0; i < from->backend_count; i++) {
		struct share_server *server = &pool->servers[pool->count++];

		server->name = strdup(from->backends[i].name);
		server->at = at_of(&from->backends[i]);
		if (!server->name || !server->at)
			return -ENOMEM;
		server->member = learned_member_known(cids, server->name);
	}
	qsort(pool->servers, pool->count, sizeof *pool->servers, by_name);
	memset(pool->of_member, 0xff, sizeof pool->of_member);
	for (size_t i = 0; i < pool->count; i++)
		if (pool->servers[i].member != LEARNED_NOBODY)
			pool->of_member[pool->servers[i].member] = (uint16_t)i;
	return 0;
}

static int server_copy(struct conf_redis *out, const struct conf_redis *from)
{
	*out = *from;
	out->prefix = strdup(from->prefix);
	out->user = from->user ? strdup(from->user) : NULL;
	return out->prefix && !out->user == !from->user ? 0 : -ENOMEM;
}

int share_plan_new(struct share_plan **out, const struct conf *conf, struct learned *const *learned)
{
	struct share_plan *plan = calloc(1, sizeof *plan);
	int err = plan ? 0 : -ENOMEM;

	if (!err && conf->has_redis) {
		err = server_copy(&plan->server, &conf->redis);
		plan->pools = calloc(conf->pool_count, sizeof *plan->pools);
		if (!plan->pools)
			err = -ENOMEM;
		for (size_t i = 0; !err && i < conf->pool_count; i++)
			if (learned[i])
				err = pool_fill(&plan->pools[plan->pool_count++], conf, &conf->pools[i], learned[i]);
		plan->wanted = plan->pool_count > 0;
	}
	if (err)
		share_plan_free(plan);
	else
		*out = plan;
	return err;
}

void share_plan_free(struct share_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->pool_count; i++) {
		for (size_t j = 0; j < plan->pools[i].count; j++) {
			free(plan->pools[i].servers[j].name);
			free(plan->pools[i].servers[j].at);
		}
		free(plan->pools[i].servers);
		free(plan->pools[i].key);
	}
	free(plan->pools);
	free(plan->server.user);
	free(plan->server.prefix);
	explicit_bzero(plan, sizeof *plan);
	free(plan);
}
