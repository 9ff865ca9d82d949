#include "conf/difference.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/settings.h"

enum { NAME_OCTETS = 256 /* of POOL/BACKEND, and what stands around it */ };

struct telling {
	void (*on_line)(void *ctx, const char *line);
	void *ctx;
	bool no_memory;
};

static const char *shown(const char *value)
{
	return *value ? value : "none";
}

static void print_change(FILE *out, const struct setting *before, const struct setting *now)
{
	if (!now->secret)
		fprintf(out, "%s %s->%s", now->option, shown(before->value), shown(now->value));
	else
		fprintf(out, "%s %s", now->option,
			!*now->value     ? "removed"
			: *before->value ? "is another one"
					 : "added");
}

/* Tells of all that differs in one line; `head` says of what. Frees both. */
static void tell_settings(struct telling *telling, const char *head, struct settings *before, struct settings *now)
{
	char *line = NULL;
	size_t len = 0, changes = 0;
	FILE *out = before->no_memory || now->no_memory ? NULL : open_memstream(&line, &len);

	if (out)
		fputs(head, out);
	for (size_t i = 0; out && i < now->count; i++) {
		if (strcmp(before->of[i].value, now->of[i].value) == 0)
			continue;
		if (changes++ > 0)
			fputs(", ", out);
		print_change(out, &before->of[i], &now->of[i]);
	}
	if (!out || fclose(out) != 0)
		telling->no_memory = true;
	else if (changes > 0)
		telling->on_line(telling->ctx, line);
	free(line);
	settings_free(before);
	settings_free(now);
}

static __attribute__((format(printf, 2, 3))) void tell(struct telling *telling, const char *format, ...)
{
	char line[NAME_OCTETS];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	telling->on_line(telling->ctx, line);
}

static const struct conf_listener *listener_of(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->listener_count; i++)
		if (strcmp(conf->listeners[i].name, name) == 0)
			return &conf->listeners[i];
	return NULL;
}

static const struct conf_pool *pool_of(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->pool_count; i++)
		if (strcmp(conf->pools[i].name, name) == 0)
			return &conf->pools[i];
	return NULL;
}

/* It mostly stands where it stood, so the search begins there. */
static const struct conf_backend *backend_of(const struct conf_pool *pool, const char *name, size_t at)
{
	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct conf_backend *backend = &pool->backends[(at + i) % pool->backend_count];

		if (strcmp(backend->name, name) == 0)
			return backend;
	}
	return NULL;
}

static void tell_listeners(struct telling *telling, const struct conf *before, const struct conf *now)
{
	for (size_t i = 0; i < before->listener_count; i++)
		if (!listener_of(now, before->listeners[i].name))
			tell(telling, "-listener %s", before->listeners[i].name);
	for (size_t i = 0; i < now->listener_count; i++) {
		const struct conf_listener *is = &now->listeners[i], *was = listener_of(before, is->name);
		struct settings old, new;
		char head[NAME_OCTETS];

		if (!was) {
			tell(telling, "+listener %s", is->name);
			continue;
		}
		snprintf(head, sizeof head, "listener %s: ", is->name);
		settings_of_listener(&old, before, was);
		settings_of_listener(&new, now, is);
		tell_settings(telling, head, &old, &new);
	}
}

static void tell_backends(struct telling *telling, const struct conf_pool *before, const struct conf_pool *now)
{
	for (size_t i = 0; i < before->backend_count; i++)
		if (!backend_of(now, before->backends[i].name, i))
			tell(telling, "-%s/%s", now->name, before->backends[i].name);
	for (size_t i = 0; i < now->backend_count; i++) {
		const struct conf_backend *is = &now->backends[i], *was = backend_of(before, is->name, i);
		struct settings old, new;
		char head[NAME_OCTETS];

		if (!was) {
			tell(telling, "+%s/%s", now->name, is->name);
			continue;
		}
		snprintf(head, sizeof head, "%s/%s: ", now->name, is->name);
		settings_of_backend(&old, was);
		settings_of_backend(&new, is);
		tell_settings(telling, head, &old, &new);
	}
}

static void tell_pools(struct telling *telling, const struct conf *before, const struct conf *now)
{
	for (size_t i = 0; i < before->pool_count; i++)
		if (!pool_of(now, before->pools[i].name))
			tell(telling, "-pool %s", before->pools[i].name);
	for (size_t i = 0; i < now->pool_count; i++) {
		const struct conf_pool *is = &now->pools[i], *was = pool_of(before, is->name);
		struct settings old, new;
		char head[NAME_OCTETS];

		if (!was) {
			tell(telling, "+pool %s", is->name);
			continue;
		}
		snprintf(head, sizeof head, "pool %s: ", is->name);
		settings_of_pool(&old, was);
		settings_of_pool(&new, is);
		tell_settings(telling, head, &old, &new);
		tell_backends(telling, was, is);
	}
}

int conf_difference(const struct conf *before, const struct conf *now, void (*on_line)(void *ctx, const char *line),
		    void *ctx)
{
	struct telling telling = { .on_line = on_line, .ctx = ctx };
	struct settings old, new;

	settings_of_file(&old, before);
	settings_of_file(&new, now);
	tell_settings(&telling, "", &old, &new);
	tell_listeners(&telling, before, now);
	tell_pools(&telling, before, now);
	return telling.no_memory ? -ENOMEM : 0;
}
