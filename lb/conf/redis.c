/* The server through which nodes share what they learn. */
#include <stdlib.h>
#include <string.h>

#include "conf/read.h"

enum { REDIS_ADDRESS, REDIS_USER, REDIS_PASSWORD, REDIS_PREFIX, REDIS_OPTIONS };

static const struct conf_option redis_options[REDIS_OPTIONS] = {
	[REDIS_ADDRESS] = { "address", .type = CONF_TEXT, .required = true },
	[REDIS_USER] = { "user", .type = CONF_TEXT },
	[REDIS_PASSWORD] = { "password", .type = CONF_TEXT },
	[REDIS_PREFIX] = { "prefix", .type = CONF_TEXT },
};

const struct conf_section conf_section_redis = { "redis", redis_options, REDIS_OPTIONS };

static void read_address(struct conf_reader *reader, const struct conf_value *value, struct addr *out)
{
	char quoted[CONF_QUOTE_OCTETS];

	if (!conf_read_addr(reader, value, out) || addr_is_unicast(out))
		return;
	conf_error(reader, value->place, "%s is the address of no server", conf_quote(quoted, value->text));
}

/* A word of 1..CONF_REDIS_WORD_OCTETS printable octets without blanks, or (reported) NULL. */
static char *read_word(struct conf_reader *reader, const struct conf_value *value, const char *fallback)
{
	const char *text = value->text ? value->text : fallback;
	char quoted[CONF_QUOTE_OCTETS], *copy;
	const size_t len = strlen(text);

	if (len == 0 || len > CONF_REDIS_WORD_OCTETS || conf_password_span(text) != len || strchr(text, ' ')) {
		conf_error(reader, value->place, "%s; accepted: 1..%d printable octets without blanks",
			   conf_quote(quoted, text), CONF_REDIS_WORD_OCTETS);
		return NULL;
	}
	copy = strdup(text);
	reader->no_memory |= !copy;
	return copy;
}

static bool learns(const struct conf *conf)
{
	for (size_t i = 0; i < conf->pool_count; i++)
		if (conf->pools[i].max_cids > 0 || conf->pools[i].max_resumable > 0)
			return true;
	return false;
}

void conf_redis_read(struct conf_reader *reader, const struct conf_value *redis)
{
	struct conf_value values[REDIS_OPTIONS];
	struct conf *conf = reader->conf;
	struct conf_redis *to = &conf->redis;

	if (redis->found != CONF_GOOD)
		return;
	conf->has_redis = true;
	conf_read_section(reader, redis->place, &conf_section_redis, values);
	read_address(reader, &values[REDIS_ADDRESS], &to->addr);
	to->prefix = read_word(reader, &values[REDIS_PREFIX], CONF_REDIS_PREFIX);
	if (values[REDIS_USER].text)
		to->user = read_word(reader, &values[REDIS_USER], "");
	if (conf_password_read(reader, &values[REDIS_PASSWORD], to->password, &to->password_len))
		(void)conf_key_is_exposed(reader, &values[REDIS_PASSWORD]);
	if (to->user && values[REDIS_PASSWORD].found == CONF_ABSENT)
		conf_error(reader, values[REDIS_USER].place, "a user needs redis.password");
	if (conf->pool_count && !learns(conf))
		conf_warn(reader, redis->place, "no pool learns anything, so there is nothing to share");
}
