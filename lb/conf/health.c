#include <stdlib.h>
#include <string.h>

#include "common/coap.h"
#include "common/plural.h"
#include "conf/read.h"

enum {
	HEALTH_PROBE,
	HEALTH_INTERVAL,
	HEALTH_TIMEOUT,
	HEALTH_RISE,
	HEALTH_FALL,
	HEALTH_ALL_DOWN,
	HEALTH_PORT,
	HEALTH_PATH,
	HEALTH_PSK_IDENTITY,
	HEALTH_PSK_KEY,
	HEALTH_OPTIONS,
};

static const struct conf_option health_options[HEALTH_OPTIONS] = {
	[HEALTH_PROBE] = { "probe", .type = CONF_WORD,
			   .words = { [PROBE_DTLS] = "dtls",
				      [PROBE_COAP] = "coap",
				      [PROBE_COAPS] = "coaps",
				      [PROBE_HTTP] = "http",
				      [PROBE_NONE] = "none" } },
	[HEALTH_INTERVAL] = { "interval_ms", .type = CONF_NUMBER, .min = 10, .max = 3600000, .fallback = 2000,
			      .unit = "ms" },
	[HEALTH_TIMEOUT] = { "timeout_ms", .type = CONF_NUMBER, .min = 1, .max = 60000, .fallback = 1000,
			     .unit = "ms" },
	[HEALTH_RISE] = { "rise", .type = CONF_NUMBER, .min = 1, .max = UINT8_MAX, .fallback = 2 },
	[HEALTH_FALL] = { "fall", .type = CONF_NUMBER, .min = 1, .max = UINT8_MAX, .fallback = 3 },
	[HEALTH_ALL_DOWN] = { "all_down", .type = CONF_WORD,
			      .words = { [ALL_DOWN_HASH] = "hash", [ALL_DOWN_DROP] = "drop" } },
	[HEALTH_PORT] = { "port", .type = CONF_NUMBER, .min = 1, .max = UINT16_MAX, .fallback = 0 },
	[HEALTH_PATH] = { "path", .type = CONF_TEXT },
	[HEALTH_PSK_IDENTITY] = { "psk_identity", .type = CONF_TEXT },
	[HEALTH_PSK_KEY] = { "psk_key", .type = CONF_TEXT },
};

const struct conf_section conf_section_health = { "pools.health", health_options, HEALTH_OPTIONS };

/* The options that mean something to a probe, besides those that mean something to all. */
enum { TAKES_PORT = 1, TAKES_PATH = 2, TAKES_PSK = 4 };

static const unsigned takes[] = {
	[PROBE_DTLS] = TAKES_PORT,
	[PROBE_COAP] = TAKES_PORT,
	[PROBE_COAPS] = TAKES_PORT | TAKES_PATH | TAKES_PSK,
	[PROBE_HTTP] = TAKES_PORT | TAKES_PATH,
	[PROBE_NONE] = 0,
};

static const unsigned option_takes[HEALTH_OPTIONS] = {
	[HEALTH_PORT] = TAKES_PORT,
	[HEALTH_PATH] = TAKES_PATH,
	[HEALTH_PSK_IDENTITY] = TAKES_PSK,
	[HEALTH_PSK_KEY] = TAKES_PSK,
};

static bool probe_takes(enum conf_probe probe, size_t option)
{
	return (takes[probe] & option_takes[option]) == option_takes[option];
}

static char *copy_text(struct conf_reader *reader, const char *text)
{
	char *copy = strdup(text);

	reader->no_memory |= !copy;
	return copy;
}

/* Whether Uri-Path options and an HTTP request line can carry the text as it is. */
static bool is_path(const char *text, size_t max)
{
	size_t len = strlen(text);

	if (*text != '/' || len > max || strstr(text, "//"))
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return true;
}

static void read_path(struct conf_reader *reader, const struct conf_value *path, struct conf_health *health)
{
	const size_t max = COAP_PATH_MAX - 1;

	if (path->text && !is_path(path->text, max))
		conf_error(reader, path->place,
			   "not a path; accepted: '/' and what follows, at most %zu printable characters, no \"//\"",
			   max);
	else if (path->found != CONF_WRONG && probe_takes(health->probe, HEALTH_PATH))
		health->path = copy_text(reader, path->text ? path->text : "/.well-known/cidlb");
}

/* The identity is a secret too: no message repeats it. */
static void read_psk(struct conf_reader *reader, const struct conf_value *identity, const struct conf_value *key,
		     struct conf_health *health)
{
	const size_t len = identity->text ? strlen(identity->text) : 0;

	if (identity->found == CONF_ABSENT)
		conf_error(reader, identity->place, "missing; probe \"coaps\" begins a session");
	else if (identity->text && (len == 0 || len > CONF_IDENTITY_OCTETS))
		conf_error(reader, identity->place, "%zu octets; accepted: 1..%d", len, CONF_IDENTITY_OCTETS);
	else if (identity->text)
		health->psk_identity = copy_text(reader, identity->text);
	if (key->found == CONF_ABSENT)
		conf_error(reader, key->place, "missing; probe \"coaps\" begins a session");
	else if (conf_psk_read(reader, key, health->psk_key, &health->psk_key_len))
		conf_key_is_exposed(reader, key);
}

/* The next probe waits for the end of this one. */
static void check_times(struct conf_reader *reader, const struct conf_value *values, const struct conf_health *health)
{
	const struct conf_value *interval = &values[HEALTH_INTERVAL], *timeout = &values[HEALTH_TIMEOUT];

	if (health->probe == PROBE_NONE || health->timeout_ms <= health->interval_ms || interval->found == CONF_WRONG ||
	    timeout->found == CONF_WRONG)
		return;
	conf_advise(
		reader, timeout->found == CONF_GOOD ? timeout->place : interval->place,
		"probes time out after %u ms, and begin every %u ms: a silent server is asked every %u ms only, and is "
		"down after %u probe%s",
		health->timeout_ms, health->interval_ms, health->timeout_ms, health->fall, PLURAL(health->fall));
}

void conf_health_read(struct conf_reader *reader, const struct conf_value *health, struct conf_pool *pool)
{
	struct conf_value values[HEALTH_OPTIONS];
	const struct conf_value *probe = &values[HEALTH_PROBE];

	if (health->found == CONF_WRONG)
		return;
	conf_read_section(reader, health->place, &conf_section_health, values);
	pool->health = (struct conf_health){
		.probe = (enum conf_probe)probe->number,
		.interval_ms = (uint32_t)values[HEALTH_INTERVAL].number,
		.timeout_ms = (uint32_t)values[HEALTH_TIMEOUT].number,
		.rise = (uint8_t)values[HEALTH_RISE].number,
		.fall = (uint8_t)values[HEALTH_FALL].number,
		.port = (uint16_t)values[HEALTH_PORT].number,
	};
	if (probe->found == CONF_ABSENT)
		pool->health.probe = pool->protocol == POOL_UDP ? PROBE_COAP : PROBE_DTLS;
	pool->all_down = (enum all_down)values[HEALTH_ALL_DOWN].number;
	read_path(reader, &values[HEALTH_PATH], &pool->health);
	if (probe->found == CONF_WRONG)
		return;
	check_times(reader, values, &pool->health);
	if (probe_takes(pool->health.probe, HEALTH_PSK_KEY))
		read_psk(reader, &values[HEALTH_PSK_IDENTITY], &values[HEALTH_PSK_KEY], &pool->health);
	else
		conf_key_is_exposed(reader, &values[HEALTH_PSK_KEY]);
	for (size_t i = HEALTH_PORT; i < HEALTH_OPTIONS; i++)
		if (values[i].found == CONF_GOOD && !probe_takes(pool->health.probe, i))
			conf_warn(reader, values[i].place, "no effect with probe \"%s\"",
				  health_options[HEALTH_PROBE].words[pool->health.probe]);
}
