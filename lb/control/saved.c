#include "control/saved_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/state_file.h"

enum { VERSION = 1, HOST_PORT_OCTETS = 256 + 8, AGAIN_S = 10 /* after a write that failed */ };

int saved_prepare(const char *file, uid_t uid, gid_t gid)
{
	const bool is_default = file && strcmp(file, CONF_STATE_FILE) == 0;
	const enum state_directory whose = is_default ? STATE_DIRECTORY_OWN : STATE_DIRECTORY_OTHER;
	int err = file ? state_file_prepare(file, whose, uid, gid) : 0;

	if (err)
		log_fields(
			&(struct log_what){
				is_default ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "state_file", NULL, NULL,
				LOG_FIELDS(LOG_TEXT("file", file), LOG_TEXT("error", strerror(-err)),
					   LOG_TEXT("reason", "what is set by command will not outlive a restart")) },
			"what is set by command will not outlive a restart: %s cannot be written: %s", file,
			strerror(-err));
	return err;
}

json_t *saved_entry_json(const struct conf_backend *backend)
{
	char id[SAVED_ID_TEXT], address[HOST_PORT_OCTETS];
	json_t *entry;

	if (backend->host)
		snprintf(address, sizeof address, "%s:%u", backend->host, backend->addr.port);
	else
		addr_format(&backend->addr, address);
	entry = json_pack("{s:s, s:i, s:s}", "address", address, "weight", (int)backend->weight, "state",
			  backend_admin_name(backend->admin));
	if (backend->has_id && json_object_set_new(entry, "id", json_string(saved_id_format(&backend->id, id))) < 0) {
		json_decref(entry);
		entry = NULL;
	}
	return entry;
}

static bool admin_read(const json_t *value, enum backend_admin *out)
{
	const char *name = json_string_value(value);

	for (enum backend_admin admin = BACKEND_READY; name && admin <= BACKEND_MAINT; admin++)
		if (strcmp(name, backend_admin_name(admin)) == 0) {
			*out = admin;
			return true;
		}
	return false;
}

static bool weight_read(const json_t *value, uint16_t *out)
{
	json_int_t weight = json_integer_value(value);

	*out = (uint16_t)weight;
	return json_is_integer(value) && weight >= 0 && weight <= RENDEZVOUS_MAX_WEIGHT;
}

static const char *family_name(bool v6)
{
	return v6 ? "v6" : "v4";
}

static bool address_read(const json_t *value, bool v6, uint8_t ip[static 16])
{
	const char *text = json_string_value(value);
	struct addr addr;

	if (!text || addr_parse_ip(&addr, text) < 0 || addr_is_v4(&addr) == v6)
		return false;
	memcpy(ip, addr.ip, sizeof addr.ip);
	return true;
}

static bool backend_is_sound(const json_t *backend)
{
	enum backend_admin admin;
	uint16_t weight;

	return json_is_object(json_object_get(backend, "entry")) &&
	       admin_read(json_object_get(backend, "state"), &admin) &&
	       weight_read(json_object_get(backend, "weight"), &weight);
}

static bool address_is_sound(const json_t *address)
{
	const json_t *v4 = json_object_get(address, "v4"), *v6 = json_object_get(address, "v6");
	uint8_t ip[16];

	return json_is_object(address) && (!v4 || address_read(v4, false, ip)) && (!v6 || address_read(v6, true, ip));
}

/* What is wrong with the file. NULL: nothing. */
static const char *root_fault(struct saved *saved, json_t *root)
{
	const char *name;
	json_t *pool, *value, *backends = json_object_get(root, "backends"),
			      *addresses = json_object_get(root, "addresses");

	if (json_integer_value(json_object_get(root, "version")) != VERSION)
		return "not of version 1";
	if (!json_is_object(backends) || !json_is_object(addresses))
		return "\"backends\" or \"addresses\" is missing";
	json_object_foreach(backends, name, pool)
	{
		const char *of;

		if (!json_is_object(pool))
			return "a pool is not an object";
		json_object_foreach(
			pool, of,
			value) if (!backend_is_sound(value)) return "what is kept of a backend makes no sense";
	}
	json_object_foreach(addresses, name,
			    value) if (!address_is_sound(value)) return "what is kept of a name makes no sense";
	if (!saved_ids_are_sound(json_object_get(root, "ids")))
		return "what is kept of server ids makes no sense";
	if (!saved_watches_load(saved, json_object_get(root, "watched")))
		return "what is kept of when servers were heard makes no sense";
	return NULL;
}

static void set_aside(struct saved *saved, const char *fault)
{
	char aside[PATH_MAX];
	int err = state_file_set_aside(saved->file, aside);

	if (err)
		log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "state_file", NULL, NULL,
					       LOG_FIELDS(LOG_TEXT("file", saved->file), LOG_TEXT("damage", fault),
							  LOG_TEXT("error", strerror(-err)),
							  LOG_TEXT("reason", "it cannot be set aside, and stays")) },
			   "%s is damaged (%s) and stays, because it cannot be set aside: %s", saved->file, fault,
			   strerror(-err));
	else
		log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "state_file", NULL, NULL,
					       LOG_FIELDS(LOG_TEXT("file", saved->file), LOG_TEXT("damage", fault),
							  LOG_TEXT("aside", aside)) },
			   "%s is damaged (%s): set aside as %s", saved->file, fault, aside);
	saved->unread = err;
}

/* The root of the file. NULL: there is no good file. */
static json_t *file_load(struct saved *saved)
{
	char *text = NULL, fault[64];
	size_t octets;
	json_error_t error;
	json_t *root;
	int err = state_file_read(saved->file, &text, &octets);

	if (err && err != -ENOENT) {
		log_fields(
			&(struct log_what){
				LOG_LEVEL_WARNING, "state_file", NULL, NULL,
				LOG_FIELDS(LOG_TEXT("file", saved->file),
					   LOG_TEXT("error", err == -EINVAL ? "not a regular file" : strerror(-err)),
					   LOG_TEXT("reason", "what was set by command is forgotten, and what is set "
							      "now will not outlive a restart")) },
			"what was set by command is forgotten, and what is set now will not outlive a restart: "
			"%s cannot be read: %s",
			saved->file, err == -EINVAL ? "not a regular file" : strerror(-err));
		saved->unread = err;
	}
	if (err)
		return NULL;
	root = json_loadb(text, octets, JSON_REJECT_DUPLICATES, &error);
	free(text);
	/* The message of jansson is not logged, because it quotes the file. */
	snprintf(fault, sizeof fault, "not JSON, line %d", error.line);
	if (root && !root_fault(saved, root))
		return root;
	set_aside(saved, root ? root_fault(saved, root) : fault);
	json_decref(root);
	return NULL;
}

json_t *saved_member(json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	if (value || json_object_set_new(object, name, json_object()) < 0)
		return value;
	return json_object_get(object, name);
}

struct saved *saved_new(const char *file)
{
	struct saved *saved = calloc(1, sizeof *saved);

	if (!saved)
		return NULL;
	saved_boot_read(saved->boot);
	saved->file = file ? strdup(file) : NULL;
	if (saved->file)
		saved->root = file_load(saved);
	if (!saved->root)
		saved->root = json_pack("{s:i, s:{}, s:{}}", "version", VERSION, "backends", "addresses");
	saved->backends = json_object_get(saved->root, "backends");
	saved->addresses = json_object_get(saved->root, "addresses");
	saved->ids = saved->root ? saved_member(saved->root, "ids") : NULL;
	if (saved->ids && (saved->file || !file))
		return saved;
	saved_free(saved);
	return NULL;
}

void saved_free(struct saved *saved)
{
	if (!saved)
		return;
	json_decref(saved->root);
	free(saved->file);
	free(saved);
}

static int file_write(const struct saved *saved)
{
	char *text = json_dumps(saved->root, JSON_INDENT(2) | JSON_SORT_KEYS);
	int err = text ? state_file_write(saved->file, text, strlen(text)) : -ENOMEM;

	free(text);
	return err;
}

static int save(struct saved *saved)
{
	int err;

	saved->due = false;
	if (!saved->file || saved->unread)
		return saved->unread;
	err = file_write(saved);
	saved->tried_s = clock_s();
	if (err && err != saved->failed)
		log_fields(
			&(struct log_what){ LOG_LEVEL_ERROR, "state_file", NULL, NULL,
					    LOG_FIELDS(LOG_TEXT("file", saved->file), LOG_TEXT("error", strerror(-err)),
						       LOG_TEXT("reason", "a restart would find it as it was")) },
			"%s cannot be written, so a restart would find it as it was: %s", saved->file, strerror(-err));
	else if (!err && saved->failed)
		log_fields(&(struct log_what){ LOG_LEVEL_INFO, "state_file", NULL, NULL,
					       LOG_FIELDS(LOG_TEXT("file", saved->file), LOG_TEXT("phase", "over")) },
			   "%s is written again", saved->file);
	saved->failed = err;
	return err;
}

int saved_save(struct saved *saved)
{
	if (!saved || !(saved->failed ? clock_s() - saved->tried_s >= AGAIN_S : saved->due))
		return 0;
	return save(saved);
}

int saved_save_last(struct saved *saved)
{
	return saved && (saved->failed || saved->due) ? save(saved) : 0;
}

const char *saved_file(const struct saved *saved)
{
	return saved->file;
}

int saved_fault(const struct saved *saved)
{
	return saved->unread ? saved->unread : saved->failed;
}

bool saved_get(const struct saved *saved, const char *pool, const struct conf_backend *backend,
	       enum backend_admin *admin, uint16_t *weight)
{
	const json_t *kept = json_object_get(json_object_get(saved->backends, pool), backend->name);
	json_t *entry = kept ? saved_entry_json(backend) : NULL;
	bool same = entry && json_equal(json_object_get(kept, "entry"), entry);

	json_decref(entry);
	return same && admin_read(json_object_get(kept, "state"), admin) &&
	       weight_read(json_object_get(kept, "weight"), weight);
}

static void backend_forget(struct saved *saved, const char *pool, const char *name)
{
	json_t *of = json_object_get(saved->backends, pool);

	(void)json_object_del(of, name);
	if (json_object_size(of) == 0)
		(void)json_object_del(saved->backends, pool);
}

int saved_set(struct saved *saved, const char *pool, const struct conf_backend *backend, enum backend_admin admin,
	      uint16_t weight)
{
	json_t *kept;

	if (admin == backend->admin && weight == backend->weight) {
		if (!json_object_get(json_object_get(saved->backends, pool), backend->name) && !saved->failed)
			return 0;
		backend_forget(saved, pool, backend->name);
		return save(saved);
	}
	kept = json_pack("{s:o, s:s, s:i}", "entry", saved_entry_json(backend), "state", backend_admin_name(admin),
			 "weight", (int)weight);
	if (json_object_set_new(saved_member(saved->backends, pool), backend->name, kept) < 0)
		return saved->failed = -ENOMEM;
	return save(saved);
}

bool saved_address(const struct saved *saved, const struct resolve_name *name, uint8_t ip[static 16])
{
	const json_t *kept = json_object_get(json_object_get(saved->addresses, name->host), family_name(name->v6));
	struct addr addr = { .port = 0 };

	if (!address_read(kept, name->v6, addr.ip) || !addr_is_unicast(&addr))
		return false;
	memcpy(ip, addr.ip, sizeof addr.ip);
	return true;
}

int saved_set_address(struct saved *saved, const struct resolve_name *name, const uint8_t ip[static 16])
{
	char text[ADDR_TEXT_OCTETS];
	uint8_t before[16];
	struct addr addr = { .port = 0 };

	memcpy(addr.ip, ip, sizeof addr.ip);
	if (addr_is_v4(&addr) == name->v6) /* an AAAA record with a v4-mapped address */
		return -EINVAL;
	if (saved_address(saved, name, before) && memcmp(before, ip, sizeof before) == 0)
		return 0;
	if (json_object_set_new(saved_member(saved->addresses, name->host), family_name(name->v6),
				json_string(addr_format(&addr, text))) < 0)
		return -ENOMEM;
	saved->due = true;
	return 0;
}

const struct conf_backend *saved_find_backend(const struct conf *conf, const char *pool, const char *name)
{
	for (size_t i = 0; i < conf->pool_count; i++)
		for (size_t j = 0; j < conf->pools[i].backend_count && strcmp(conf->pools[i].name, pool) == 0; j++)
			if (strcmp(conf->pools[i].backends[j].name, name) == 0)
				return &conf->pools[i].backends[j];
	return NULL;
}

static bool has_host(const struct conf *conf, const char *host)
{
	for (size_t i = 0; i < conf->pool_count; i++)
		for (size_t j = 0; j < conf->pools[i].backend_count; j++)
			if (conf->pools[i].backends[j].host && strcmp(conf->pools[i].backends[j].host, host) == 0)
				return true;
	return false;
}

void saved_prune(struct saved *saved, const struct conf *conf)
{
	const char *pool, *name;
	json_t *of, *value;
	void *next, *next_inner;
	enum backend_admin admin;
	uint16_t weight;

	json_object_foreach_safe(saved->backends, next, pool, of)
	{
		json_object_foreach_safe(of, next_inner, name, value)
		{
			const struct conf_backend *backend = saved_find_backend(conf, pool, name);

			if (backend && saved_get(saved, pool, backend, &admin, &weight))
				continue;
			log_fields(
				&(struct log_what){
					LOG_LEVEL_INFO, "backend_state", pool, name,
					LOG_FIELDS(
						LOG_TEXT("by", backend ? "its entry has changed" : "its entry is gone"),
						LOG_TEXT("was", json_string_value(json_object_get(value, "state"))),
						LOG_NUMBER("was_weight",
							   json_integer_value(json_object_get(value, "weight")))) },
				"its entry %s, which ends what a command had set: %s, weight %d",
				backend ? "has changed" : "is gone", json_string_value(json_object_get(value, "state")),
				(int)json_integer_value(json_object_get(value, "weight")));
			(void)json_object_del(of, name);
			saved->due = true;
		}
		if (json_object_size(of) == 0)
			(void)json_object_del(saved->backends, pool);
	}
	json_object_foreach_safe(saved->addresses, next, name, value)
	{
		if (has_host(conf, name))
			continue;
		(void)json_object_del(saved->addresses, name);
		saved->due = true;
	}
	saved_ids_prune(saved, conf);
}
