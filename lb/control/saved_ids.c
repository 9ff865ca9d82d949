#include "control/saved_priv.h"

#include <errno.h>
#include <string.h>

#include "common/hex.h"

const char *saved_id_format(const struct server_id *id, char hex[static SAVED_ID_TEXT])
{
	return hex_write(hex, SAVED_ID_TEXT, id->octets, id->len);
}

/* Reads only what saved_id_format() writes, so that an id has only one text. */
static bool id_read(const char *text, struct server_id *out)
{
	const size_t len = strlen(text);

	*out = (struct server_id){ .len = (uint8_t)(len / 2) };
	return len > 0 && strspn(text, "0123456789abcdef") == len &&
	       hex_read(out->octets, sizeof out->octets, text, len) == 0;
}

bool saved_ids_are_sound(json_t *pools)
{
	const char *name, *text;
	json_t *pool, *owner;
	struct server_id id;

	if (pools && !json_is_object(pools))
		return false;
	json_object_foreach(pools, name, pool)
	{
		if (!json_is_object(pool))
			return false;
		json_object_foreach(pool, text, owner) if (!id_read(text, &id) || !json_is_string(owner)) return false;
	}
	return true;
}

int saved_set_ids(struct saved *saved, const char *pool, const struct saved_id *ids, size_t count)
{
	json_t *now = json_object(), *before = json_object_get(saved->ids, pool);
	char hex[SAVED_ID_TEXT];
	bool failed = !now;

	for (size_t i = 0; !failed && i < count; i++)
		failed = json_object_set_new(now, saved_id_format(&ids[i].id, hex), json_string(ids[i].backend)) < 0;
	if (failed || (before ? json_equal(before, now) : count == 0)) {
		json_decref(now);
		return failed ? -ENOMEM : 0;
	}
	saved->due = true;
	if (count > 0)
		return json_object_set_new(saved->ids, pool, now) < 0 ? -ENOMEM : 0;
	json_decref(now);
	(void)json_object_del(saved->ids, pool);
	return 0;
}

int saved_each_id(const struct saved *saved, const char *pool, int (*take)(void *ctx, const struct saved_id *id),
		  void *ctx)
{
	json_t *of = json_object_get(saved->ids, pool), *owner;
	struct saved_id one;
	const char *text;
	int result;

	json_object_foreach(of, text, owner)
	{
		one.backend = json_string_value(owner);
		if (!id_read(text, &one.id))
			continue;
		result = take(ctx, &one);
		if (result)
			return result;
	}
	return 0;
}

void saved_ids_prune(struct saved *saved, const struct conf *conf)
{
	const char *pool, *text;
	json_t *of, *owner;
	void *next, *next_inner;

	json_object_foreach_safe(saved->ids, next, pool, of)
	{
		json_object_foreach_safe(of, next_inner, text, owner)
		{
			if (saved_find_backend(conf, pool, json_string_value(owner)))
				continue;
			(void)json_object_del(of, text);
			saved->due = true;
		}
		if (json_object_size(of) == 0)
			(void)json_object_del(saved->ids, pool);
	}
}
