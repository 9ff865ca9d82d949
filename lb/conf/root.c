/* The file itself: what stands outside of pools, and the listeners. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <sys/un.h>

#include "base/stats.h"
#include "conf/read.h"

enum {
	ROOT_WORKERS,
	ROOT_RCVBUF,
	ROOT_USER,
	ROOT_HASH_KEY,
	ROOT_HASH_KEY_PREVIOUS,
	ROOT_STATE_FILE,
	ROOT_ADMIN,
	ROOT_REDIS,
	ROOT_FAST,
	ROOT_LISTENERS,
	ROOT_POOLS,
	ROOT_OPTIONS
};

static const struct conf_option root_options[ROOT_OPTIONS] = {
	[ROOT_WORKERS] = { "workers", .type = CONF_NUMBER, .min = 0, .max = CONF_MAX_WORKERS, .fallback = 0 },
	[ROOT_RCVBUF] = { "rcvbuf_octets", .type = CONF_NUMBER, .min = 4096, .max = 1 << 30, .fallback = 4 << 20,
			  .unit = "octets" },
	[ROOT_USER] = { "user", .type = CONF_TEXT },
	[ROOT_HASH_KEY] = { "hash_key", .type = CONF_TEXT, .required = true },
	[ROOT_HASH_KEY_PREVIOUS] = { "hash_key_previous", .type = CONF_TEXT },
	[ROOT_STATE_FILE] = { "state_file", .type = CONF_TEXT },
	[ROOT_ADMIN] = { "admin", .type = CONF_GROUP },
	[ROOT_REDIS] = { "redis", .type = CONF_GROUP },
	[ROOT_FAST] = { "fast", .type = CONF_GROUP },
	[ROOT_LISTENERS] = { "listeners", .type = CONF_LIST, .required = true },
	[ROOT_POOLS] = { "pools", .type = CONF_LIST, .required = true },
};

enum { ADMIN_HTTP, ADMIN_HOSTS, ADMIN_SOCKET, ADMIN_OPTIONS };

static const struct conf_option admin_options[ADMIN_OPTIONS] = {
	[ADMIN_HTTP] = { "http", .type = CONF_TEXT },
	[ADMIN_HOSTS] = { "hosts", .type = CONF_LIST },
	[ADMIN_SOCKET] = { "socket", .type = CONF_TEXT },
};

enum { LISTENER_NAME, LISTENER_ADDRESS, LISTENER_POOL, LISTENER_FREEBIND, LISTENER_OPTIONS };

static const struct conf_option listener_options[LISTENER_OPTIONS] = {
	[LISTENER_NAME] = { "name", .type = CONF_TEXT, .required = true },
	[LISTENER_ADDRESS] = { "address", .type = CONF_TEXT, .required = true },
	[LISTENER_POOL] = { "pool", .type = CONF_TEXT, .required = true },
	[LISTENER_FREEBIND] = { "freebind", .type = CONF_BOOL },
};

const struct conf_section conf_section_root = { "", root_options, ROOT_OPTIONS };
const struct conf_section conf_section_admin = { "admin", admin_options, ADMIN_OPTIONS };
const struct conf_section conf_section_listener = { "listeners", listener_options, LISTENER_OPTIONS };

static void read_user(struct conf_reader *reader, const struct conf_value *user)
{
	if (user->found == CONF_WRONG || !conf_user_find(reader, user))
		return;
	if (user->text) {
		reader->conf->user = strdup(user->text);
		reader->no_memory |= !reader->conf->user;
	}
	if (reader->user.other && priv_read(reader->file, &reader->user.as) == -EACCES)
		conf_warn(reader, user->place, "the user that cidlb runs as cannot read this file: a reload will fail");
}

/* Copies an absolute path of less than `room` octets. NULL: it is "", or (reported) something else. */
static char *read_path(struct conf_reader *reader, const struct conf_value *value, const char *fallback, size_t room)
{
	const char *path = value->text ? value->text : fallback;
	char quoted[CONF_QUOTE_OCTETS], *copy;

	if (!*path)
		return NULL;
	if (*path != '/' || strlen(path) >= room) {
		conf_error(reader, value->place, "%s is no absolute path of at most %zu octets",
			   conf_quote(quoted, path), room - 1);
		return NULL;
	}
	copy = strdup(path);
	reader->no_memory |= !copy;
	return copy;
}

static void read_hosts(struct conf_reader *reader, const struct conf_value *list)
{
	const size_t count = conf_read_count(reader, list, CONF_MAX_HOSTS);
	struct conf *conf = reader->conf;
	char quoted[CONF_QUOTE_OCTETS];

	conf->hosts = count ? calloc(count, sizeof *conf->hosts) : NULL;
	reader->no_memory |= count && !conf->hosts;
	for (size_t i = 0; conf->hosts && i < count; i++) {
		const config_setting_t *setting = config_setting_get_elem(list->place.setting, (unsigned)i);
		const char *name = conf_text_of(reader, setting);

		if (!name || !conf_is_host(name, strlen(name))) {
			conf_error(reader, conf_at(setting), "%s is no host name; a port does not belong to it",
				   name ? conf_quote(quoted, name) : "this");
			continue;
		}
		conf->hosts[conf->host_count] = strdup(name);
		reader->no_memory |= !conf->hosts[conf->host_count];
		conf->host_count += conf->hosts[conf->host_count] != NULL;
	}
}

static void read_admin(struct conf_reader *reader, const struct conf_value *admin)
{
	struct conf_value values[ADMIN_OPTIONS];
	struct conf *conf = reader->conf;

	if (admin->found == CONF_WRONG)
		return;
	conf_read_section(reader, admin->place, &conf_section_admin, values);
	conf->socket =
		read_path(reader, &values[ADMIN_SOCKET], CONF_SOCKET, sizeof((struct sockaddr_un *)NULL)->sun_path);
	conf->socket_default = !values[ADMIN_SOCKET].text;
	read_hosts(reader, &values[ADMIN_HOSTS]);
	conf->has_http = conf_read_own_addr(reader, &values[ADMIN_HTTP], &conf->http);
	if (conf->has_http && !addr_is_loopback(&conf->http))
		conf_warn(reader, values[ADMIN_HTTP].place,
			  "not on loopback: everyone who reaches it sees metrics and states");
}

/* One of them has all addresses of the port. */
static bool overlap(const struct addr *a, const struct addr *b)
{
	return a->port == b->port && addr_is_v4(a) == addr_is_v4(b) && (addr_is_wildcard(a) || addr_is_wildcard(b));
}

static void check_listener(struct conf_reader *reader, const struct conf_value *values, size_t at)
{
	const struct conf_listener *all = reader->conf->listeners, *one = &all[at];
	char text[ADDR_TEXT_OCTETS], other[ADDR_TEXT_OCTETS];

	for (size_t i = 0; i < at; i++)
		if (one->name && all[i].name && strcmp(one->name, all[i].name) == 0) {
			conf_error(reader, values[LISTENER_NAME].place, "\"%s\" is already the name of listeners[%zu]",
				   one->name, i);
			break;
		}
	for (size_t i = 0; one->addr.port && i < at; i++)
		if (addr_equal(&one->addr, &all[i].addr)) {
			conf_error(reader, values[LISTENER_ADDRESS].place,
				   "%s is already the address of listeners[%zu]", addr_format(&one->addr, text), i);
			break;
		} else if (overlap(&one->addr, &all[i].addr)) {
			conf_error(reader, values[LISTENER_ADDRESS].place,
				   "%s overlaps listeners[%zu], %s; accepted: all addresses of a port, or some of them",
				   addr_format(&one->addr, text), i, addr_format(&all[i].addr, other));
			break;
		}
}

static void read_listeners(struct conf_reader *reader, const struct conf_value *list)
{
	const size_t count = conf_read_count(reader, list, CONF_MAX_LISTENERS);
	struct conf_value values[LISTENER_OPTIONS];
	struct conf *conf = reader->conf;
	struct conf_place place;

	conf->listeners = count ? calloc(count, sizeof *conf->listeners) : NULL;
	if (!conf->listeners) {
		reader->no_memory |= count > 0;
		return;
	}
	conf->listener_count = count;
	for (size_t i = 0; i < count; i++) {
		if (!conf_read_element(reader, list->place.setting, (int)i, &place))
			continue;
		conf_read_section(reader, place, &conf_section_listener, values);
		conf->listeners[i].name = conf_read_name(reader, &values[LISTENER_NAME]);
		conf_read_own_addr(reader, &values[LISTENER_ADDRESS], &conf->listeners[i].addr);
		conf->listeners[i].freebind = values[LISTENER_FREEBIND].number != 0;
		check_listener(reader, values, i);
	}
}

static void read_pools(struct conf_reader *reader, const struct conf_value *list)
{
	const size_t count = conf_read_count(reader, list, CONF_MAX_POOLS);
	struct conf *conf = reader->conf;
	struct conf_place place;
	size_t backends = 0;

	conf->pools = count ? calloc(count, sizeof *conf->pools) : NULL;
	if (!conf->pools) {
		reader->no_memory |= count > 0;
		return;
	}
	conf->pool_count = count;
	for (size_t i = 0; i < count; i++) {
		if (!conf_read_element(reader, list->place.setting, (int)i, &place))
			continue;
		conf_pool_read(reader, place, &conf->pools[i]);
		backends += conf->pools[i].backend_count;
		const char *name = conf->pools[i].name;
		for (size_t j = 0; name && j < i; j++)
			if (conf->pools[j].name && strcmp(name, conf->pools[j].name) == 0) {
				conf_error(reader, place, "\"%s\" is already the name of pools[%zu]", name, j);
				break;
			}
	}
	if (backends > STATS_BACKENDS)
		conf_error(reader, list->place, "%zu backends in all; accepted: at most %d", backends, STATS_BACKENDS);
}

enum { NAMES_OCTETS = 256 };

/* The pool called `name`, or pool_count. */
static size_t find_pool(const struct conf *conf, const char *name)
{
	size_t i = 0;

	while (i < conf->pool_count && (!conf->pools[i].name || strcmp(conf->pools[i].name, name) != 0))
		i++;
	return i;
}

/* As many as fit. */
static const char *pool_names(const struct conf *conf, char out[static NAMES_OCTETS])
{
	size_t len = 0;

	*out = '\0';
	for (size_t i = 0; i < conf->pool_count && len < NAMES_OCTETS; i++)
		len += (size_t)snprintf(out + len, NAMES_OCTETS - len, "%s%s", i ? ", " : "", conf->pools[i].name);
	return out;
}

/* Ties listeners to pools. It does not repeat what an earlier mistake explains: nobody can name a pool without a usable
 * name, and a listener without a pool may have meant any. */
static void join(struct conf_reader *reader, const config_setting_t *listeners, const config_setting_t *pools)
{
	struct conf *conf = reader->conf;
	bool named[CONF_MAX_POOLS] = { false }, all_named = true, all_joined = true;
	char quoted[CONF_QUOTE_OCTETS], names[NAMES_OCTETS];

	for (size_t i = 0; i < conf->pool_count; i++)
		all_named &= conf->pools[i].name != NULL;
	for (size_t i = 0; i < conf->listener_count; i++) {
		const config_setting_t *member =
			config_setting_get_member(config_setting_get_elem(listeners, (unsigned)i), "pool");
		const char *name = conf_text_of(reader, member);
		const size_t pool = name ? find_pool(conf, name) : conf->pool_count;
		conf->listeners[i].pool = pool;
		if (pool < conf->pool_count) {
			named[pool] = true;
			continue;
		}
		all_joined = false;
		if (name && all_named)
			conf_error(reader, conf_at(member), "no pool has the name %s; accepted: %s",
				   conf_quote(quoted, name), pool_names(conf, names));
	}
	for (size_t i = 0; i < conf->pool_count; i++)
		if (all_joined && conf->pools[i].name && !named[i] && find_pool(conf, conf->pools[i].name) == i)
			conf_error(reader, conf_at(config_setting_get_elem(pools, (unsigned)i)),
				   "no listener names pool \"%s\"", conf->pools[i].name);
}

/* False: it is absent, or (reported) not to be used. */
static bool read_hash_key(struct conf_reader *reader, const struct conf_value *value, uint8_t key[static 16])
{
	static const uint8_t demo_key[16] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
					      0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
	const struct conf *conf = reader->conf;
	bool on_loopback = true;

	if (!conf_key_read(reader, value, key))
		return false;
	if (memcmp(key, demo_key, sizeof demo_key) != 0)
		return !conf_key_is_exposed(reader, value);
	for (size_t i = 0; i < conf->listener_count; i++)
		on_loopback &= !conf->listeners[i].addr.port || addr_is_loopback(&conf->listeners[i].addr);
	if (!on_loopback)
		conf_error(reader, value->place, "the demo's key is public; make one with: openssl rand -hex 16");
	return on_loopback;
}

static void read_hash_keys(struct conf_reader *reader, const struct conf_value *now, const struct conf_value *previous)
{
	struct conf *conf = reader->conf;
	const bool has_now = read_hash_key(reader, now, conf->hash_key);

	conf->has_previous_key = read_hash_key(reader, previous, conf->previous_key);
	if (has_now && conf->has_previous_key && memcmp(conf->hash_key, conf->previous_key, sizeof conf->hash_key) == 0)
		conf_error(reader, previous->place, "the same as hash_key");
}

void conf_root_read(struct conf_reader *reader, const config_setting_t *root)
{
	struct conf_value values[ROOT_OPTIONS];
	struct conf *conf = reader->conf;

	conf_read_section(reader, conf_at(root), &conf_section_root, values);
	conf->workers = (unsigned)values[ROOT_WORKERS].number;
	conf->rcvbuf_octets = (uint32_t)values[ROOT_RCVBUF].number;
	read_user(reader, &values[ROOT_USER]);
	/* The file is written under a longer name first. */
	conf->state_file = read_path(reader, &values[ROOT_STATE_FILE], CONF_STATE_FILE, PATH_MAX - 16);
	read_admin(reader, &values[ROOT_ADMIN]);
	read_listeners(reader, &values[ROOT_LISTENERS]);
	read_pools(reader, &values[ROOT_POOLS]);
	if (conf->listener_count && conf->pool_count)
		join(reader, values[ROOT_LISTENERS].place.setting, values[ROOT_POOLS].place.setting);
	if (conf->listener_count && conf->pool_count) {
		conf_dsrs_check(reader, values[ROOT_LISTENERS].place.setting, values[ROOT_POOLS].place.setting);
		conf_direct_check(reader, values[ROOT_LISTENERS].place.setting, values[ROOT_POOLS].place.setting);
	}
	conf_redis_read(reader, &values[ROOT_REDIS]);
	conf_fast_read(reader, &values[ROOT_FAST]);
	read_hash_keys(reader, &values[ROOT_HASH_KEY], &values[ROOT_HASH_KEY_PREVIOUS]);
}

void conf_root_check(struct conf_reader *reader, const config_setting_t *root, const struct conf_machine *machine)
{
	struct conf *conf = reader->conf;

	if (!conf->workers)
		conf->workers = machine->cpus < CONF_MAX_WORKERS ? machine->cpus : CONF_MAX_WORKERS;
	conf_nats_check(reader, machine);
	if (conf->pool_count) {
		conf_tunnels_check(reader, config_setting_get_member(root, "pools"));
		conf_loops_check(reader, config_setting_get_member(root, "pools"), machine);
	}
	if (!reader->report->error_count)
		conf_descriptors_check(reader, machine);
}
