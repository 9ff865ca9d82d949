/* What a configuration asks of the sharing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learned/share_priv.h"
#include "path/resumed.h"

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

const struct share_server *share_plan_server(const struct share_stream *stream, const uint8_t *name, size_t len)
{
	const struct wanted wanted = { name, len };

	if (len == 0 || memchr(name, '\0', len))
		return NULL;
	return bsearch(&wanted, stream->servers, stream->count, sizeof *stream->servers, name_compare);
}

static char *at_of(const struct conf_backend *backend)
{
	char text[ADDR_TEXT_OCTETS], *at = NULL;

	if (!backend->host)
		return strdup(addr_format(&backend->addr, text));
	return asprintf(&at, "%s:%u", backend->host, backend->addr.port) < 0 ? NULL : at;
}

static int servers_fill(struct share_stream *stream, const struct conf_pool *from)
{
	stream->servers = calloc(from->backend_count, sizeof *stream->servers);
	if (!stream->servers)
		return -ENOMEM;
	for (size_t i = 0; i < from->backend_count; i++) {
		struct share_server *server = &stream->servers[stream->count++];

		server->name = strdup(from->backends[i].name);
		server->at = at_of(&from->backends[i]);
		if (!server->name || !server->at)
			return -ENOMEM;
		server->member = learned_member_known(stream->table, server->name);
	}
	qsort(stream->servers, stream->count, sizeof *stream->servers, by_name);
	memset(stream->of_member, 0xff, sizeof stream->of_member);
	for (size_t i = 0; i < stream->count; i++)
		if (stream->servers[i].member != LEARNED_NOBODY)
			stream->of_member[stream->servers[i].member] = (uint16_t)i;
	return 0;
}

static int stream_fill(struct share_stream *stream, const struct conf *conf, const struct conf_pool *from,
		       const char *suffix)
{
	stream->pool = strdup(from->name);
	if (asprintf(&stream->key, "%s:%s%s", conf->redis.prefix, from->name, suffix) < 0)
		stream->key = NULL;
	return stream->pool && stream->key ? servers_fill(stream, from) : -ENOMEM;
}

/* The streams of a pool. The names of pools have no colon, so no key is that of another pool. */
static int pool_add(struct share_plan *plan, const struct conf *conf, const struct conf_pool *from,
		    const struct share_tables *tables)
{
	struct share_stream *stream;
	int err = 0;

	if (tables->cids) {
		stream = &plan->streams[plan->stream_count++];
		stream->field = "cid";
		stream->table = tables->cids;
		stream->most = from->max_cids;
		err = stream_fill(stream, conf, from, "");
	}
	if (!err && tables->sessions) {
		stream = &plan->streams[plan->stream_count++];
		stream->field = "session";
		stream->octets = RESUMED_SESSION_OCTETS;
		stream->table = tables->sessions;
		stream->most = from->max_resumable;
		err = stream_fill(stream, conf, from, ":sessions");
	}
	return err;
}

static int server_copy(struct conf_redis *out, const struct conf_redis *from)
{
	*out = *from;
	out->prefix = strdup(from->prefix);
	out->user = from->user ? strdup(from->user) : NULL;
	return out->prefix && !out->user == !from->user ? 0 : -ENOMEM;
}

int share_plan_new(struct share_plan **out, const struct conf *conf, const struct share_tables *tables)
{
	struct share_plan *plan = calloc(1, sizeof *plan);
	int err = plan ? 0 : -ENOMEM;

	if (!err && conf->has_redis) {
		err = server_copy(&plan->server, &conf->redis);
		plan->streams = calloc(2 * conf->pool_count, sizeof *plan->streams);
		if (!plan->streams)
			err = -ENOMEM;
		for (size_t i = 0; !err && i < conf->pool_count; i++)
			err = pool_add(plan, conf, &conf->pools[i], &tables[i]);
		plan->wanted = plan->stream_count > 0;
	}
	if (err)
		share_plan_free(plan);
	else
		*out = plan;
	return err;
}

static void stream_free(struct share_stream *stream)
{
	for (size_t i = 0; i < stream->count; i++) {
		free(stream->servers[i].name);
		free(stream->servers[i].at);
	}
	free(stream->servers);
	free(stream->pool);
	free(stream->key);
}

void share_plan_free(struct share_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->stream_count; i++)
		stream_free(&plan->streams[i]);
	free(plan->streams);
	free(plan->server.user);
	free(plan->server.prefix);
	explicit_bzero(plan, sizeof *plan);
	free(plan);
}
