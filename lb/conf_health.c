#include "conf_priv.h"

enum {
	HEALTH_PROBE,
	HEALTH_INTERVAL,
	HEALTH_TIMEOUT,
	HEALTH_RISE,
	HEALTH_FALL,
	HEALTH_ALL_DOWN,
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
	[HEALTH_INTERVAL] = { "interval_ms", .type = CONF_NUMBER, .min = 10, .max = 3600000, .fallback = 2000, .unit = "ms" },
	[HEALTH_TIMEOUT] = { "timeout_ms", .type = CONF_NUMBER, .min = 1, .max = 60000, .fallback = 1000, .unit = "ms" },
	[HEALTH_RISE] = { "rise", .type = CONF_NUMBER, .min = 1, .max = UINT8_MAX, .fallback = 2 },
	[HEALTH_FALL] = { "fall", .type = CONF_NUMBER, .min = 1, .max = UINT8_MAX, .fallback = 3 },
	[HEALTH_ALL_DOWN] = { "all_down", .type = CONF_WORD, .words = { [ALL_DOWN_HASH] = "hash", [ALL_DOWN_DROP] = "drop" } },
	[HEALTH_PATH] = { "path", .type = CONF_TEXT },
	[HEALTH_PSK_IDENTITY] = { "psk_identity", .type = CONF_TEXT },
	[HEALTH_PSK_KEY] = { "psk_key", .type = CONF_TEXT },
};

const struct conf_section conf_section_health = { "pools.health", health_options, HEALTH_OPTIONS };

void conf_health_read(struct conf_reader *reader, const struct conf_value *health, struct conf_pool *pool)
{
	struct conf_value values[HEALTH_OPTIONS];
	const struct conf_value *probe = &values[HEALTH_PROBE], *path = &values[HEALTH_PATH];

	if (health->found == CONF_WRONG)
		return;
	conf_read_section(reader, health->place, &conf_section_health, values);
	pool->health = (struct conf_health){
		.probe = (enum conf_probe)probe->number,
		.interval_ms = (uint32_t)values[HEALTH_INTERVAL].number,
		.timeout_ms = (uint32_t)values[HEALTH_TIMEOUT].number,
		.rise = (uint8_t)values[HEALTH_RISE].number,
		.fall = (uint8_t)values[HEALTH_FALL].number,
	};
	if (probe->found == CONF_ABSENT)
		pool->health.probe = pool->protocol == POOL_UDP ? PROBE_COAP : PROBE_DTLS;
	pool->all_down = (enum all_down)values[HEALTH_ALL_DOWN].number;
	if (path->text && *path->text != '/')
		conf_error(reader, path->place, "not a path; it begins with '/'");
	conf_key_is_exposed(reader, &values[HEALTH_PSK_KEY]);
	for (size_t i = HEALTH_PATH; i <= HEALTH_PSK_KEY; i++)
		if (values[i].found == CONF_GOOD && probe->found != CONF_WRONG)
			conf_warn(reader, values[i].place, "no effect with probe \"%s\"",
				  health_options[HEALTH_PROBE].words[pool->health.probe]);
}
