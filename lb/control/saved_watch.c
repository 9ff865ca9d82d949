#include "control/saved_priv.h"

#include <stdio.h>
#include <string.h>

void saved_boot_read(char boot[static SAVED_BOOT_OCTETS])
{
	FILE *in = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!in || !fgets(boot, SAVED_BOOT_OCTETS, in))
		boot[0] = '\0';
	boot[strcspn(boot, "\n")] = '\0';
	if (in)
		fclose(in);
}

static bool watch_is_sound(const json_t *watch)
{
	const json_t *since = json_object_get(watch, "since"), *cid = json_object_get(watch, "cid");

	return json_is_object(json_object_get(watch, "entry")) && (!since || json_is_integer(since)) &&
	       (!cid || json_is_integer(cid));
}

static bool backends_are_sound(json_t *pools)
{
	const char *name, *of;
	json_t *pool, *watch;

	if (!json_is_object(pools))
		return false;
	json_object_foreach(pools, name, pool)
	{
		if (!json_is_object(pool))
			return false;
		json_object_foreach(pool, of, watch)
		{
			if (!watch_is_sound(watch))
				return false;
		}
	}
	return true;
}

bool saved_watches_load(struct saved *saved, const json_t *watched)
{
	const json_t *boot = json_object_get(watched, "boot"), *at = json_object_get(watched, "at");

	if (!watched)
		return true;
	if (!json_is_string(boot) || !json_is_integer(at) || !backends_are_sound(json_object_get(watched, "backends")))
		return false;
	saved->watched.at_s = json_integer_value(at);
	saved->watched.is_of_this_boot = saved->boot[0] && strcmp(saved->boot, json_string_value(boot)) == 0;
	return true;
}

const struct saved_watched *saved_watched(const struct saved *saved)
{
	return &saved->watched;
}

bool saved_get_watch(const struct saved *saved, struct saved_watch *watch)
{
	const json_t *pools = json_object_get(json_object_get(saved->root, "watched"), "backends");
	const json_t *kept = json_object_get(json_object_get(pools, watch->pool->name), watch->backend->name);
	const json_t *since = json_object_get(kept, "since");
	json_t *entry = kept ? saved_entry_json(watch->backend) : NULL;
	const bool same = entry && json_equal(json_object_get(kept, "entry"), entry);

	json_decref(entry);
	watch->drains = since != NULL;
	watch->since_s = json_integer_value(since);
	watch->cid_s = json_integer_value(json_object_get(kept, "cid"));
	return same;
}

/* NULL: out of memory. */
static json_t *watch_json(const struct saved_watch *watch)
{
	json_t *json = json_pack("{s:o}", "entry", saved_entry_json(watch->backend));

	if (watch->drains && json_object_set_new(json, "since", json_integer(watch->since_s)) < 0) {
		json_decref(json);
		return NULL;
	}
	if (watch->cid_s > 0 && json_object_set_new(json, "cid", json_integer(watch->cid_s)) < 0) {
		json_decref(json);
		return NULL;
	}
	return json;
}

/* NULL: out of memory. */
static json_t *backends_json(const struct saved_watch *watches, size_t count)
{
	json_t *pools = json_object();

	for (size_t i = 0; pools && i < count; i++) {
		json_t *watch = watch_json(&watches[i]), *pool = saved_member(pools, watches[i].pool->name);

		if (json_object_set_new(pool, watches[i].backend->name, watch) < 0) {
			json_decref(pools);
			pools = NULL;
		}
	}
	return pools;
}

void saved_set_watches(struct saved *saved, const struct saved_watch *watches, size_t count, int64_t at_s)
{
	json_t *before = json_object_get(saved->root, "watched"), *now = NULL;

	if (count == 0) {
		saved->due |= before != NULL;
		(void)json_object_del(saved->root, "watched");
		saved->watched = (struct saved_watched){ 0 };
		return;
	}
	now = json_pack("{s:s, s:I, s:o}", "boot", saved->boot, "at", (json_int_t)at_s, "backends",
			backends_json(watches, count));
	if (!now || (before && json_equal(before, now))) {
		json_decref(now);
		return;
	}
	if (json_object_set_new(saved->root, "watched", now) < 0)
		return;
	saved->watched = (struct saved_watched){ at_s, saved->boot[0] != 0 };
	saved->due = true;
}
