/* Any text as a configuration. It is refused with whole lines that name a place, or accepted with every value in its
 * range. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/allowance.h"
#include "common/learned.h"
#include "conf/read.h"

#define NAME "fuzz.conf"

enum { MAX_OCTETS = 8192 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libconfig 1.5 leaks the text that it has read when a syntax error follows. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig\n";
}

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_lines(char **lines, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *line = lines[i];
		require(strncmp(line, NAME ":", sizeof NAME) == 0 && !strchr(line, '\n'));
		line += sizeof NAME;
		require(*line >= '1' && *line <= '9');
		line += strspn(line, "0123456789");
		require(strncmp(line, ": ", 2) == 0 && line[2]);
	}
}

static void check_pool(const struct conf_pool *pool)
{
	const struct conf_nat *nat = &pool->nat;
	const struct cid_layout *layout = &pool->layout;

	require(pool->name && *pool->name);
	require(pool->backend_count >= 1 && pool->backend_count <= CONF_MAX_BACKENDS);
	require(pool->protocol == POOL_DTLS || layout->scheme == CID_LAYOUT_NONE);
	if (layout->scheme == CID_LAYOUT_NONE || layout->scheme == CID_LAYOUT_LEARNED)
		require(layout->length == 0);
	else
		require(layout->length >= 1 && layout->length <= 20);
	require((layout->scheme == CID_LAYOUT_LEARNED) == (pool->max_cids >= LEARNED_MIN_CIDS));
	require(layout->scheme != CID_LAYOUT_ID || lbcid_check(&layout->lbcid) == 0);
	require(nat->source_count >= 1 && nat->source_count <= (nat->single ? 2 : CONF_MAX_SOURCES));
	require(nat->port_first >= 1 && nat->port_first <= nat->port_last &&
		(nat->single || nat->port_last - nat->port_first < 64));
	require(nat->max_flows >= (nat->single ? 1 : 8) && nat->idle_s >= 1 && nat->cid_idle_s >= 1 &&
		(nat->contest == CONTEST_OWN || nat->contest == CONTEST_HOME) &&
		(nat->endpoint == ENDPOINT_CID || nat->contest == CONTEST_HOME) &&
		nat->unproven_rate <= ALLOWANCE_RATE_MAX);
	require(pool->health.interval_ms >= 10 && pool->health.timeout_ms >= 1 && pool->health.rise >= 1 &&
		pool->health.fall >= 1);
	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct conf_backend *backend = &pool->backends[i];
		require(backend->name && backend->addr.port && backend->weight <= RENDEZVOUS_MAX_WEIGHT);
		require(backend->has_id == (layout->scheme == CID_LAYOUT_ID));
		require(!backend->has_id || backend->id.len == layout->lbcid.size);
	}
}

static void check_conf(const struct conf *conf)
{
	require(conf->workers >= 1 && conf->workers <= CONF_MAX_WORKERS);
	require(conf->listener_count >= 1 && conf->listener_count <= CONF_MAX_LISTENERS);
	require(conf->pool_count >= 1 && conf->pool_count <= CONF_MAX_POOLS);
	for (size_t i = 0; i < conf->listener_count; i++)
		require(conf->listeners[i].name && conf->listeners[i].addr.port &&
			conf->listeners[i].pool < conf->pool_count);
	for (size_t i = 0; i < conf->pool_count; i++)
		check_pool(&conf->pools[i]);
}

/* The same host for every input: what one finds, another run finds again. */
static int source_towards(const struct addr *to, struct addr *out)
{
	if (addr_is_loopback(to))
		return -ENETUNREACH;
	*out = *to;
	out->ip[15] ^= 1;
	out->port = 0;
	return 0;
}

static bool has_prefix(const struct addr *first, uint8_t bits)
{
	return addr_is_loopback(first) || bits % 2 == 0;
}

static const struct conf_machine machine = { .cpus = 4,
					     .descriptors = 20000,
					     .source_towards = source_towards,
					     .is_here = addr_is_loopback,
					     .has_prefix = has_prefix };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_report report = { 0 };
	char text[MAX_OCTETS + 1];
	struct conf *conf;

	if (size > MAX_OCTETS)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	conf = conf_parse(&(struct conf_source){ .file = NAME, .text = text }, &machine, &report);
	require((conf != NULL) == (report.error_count == 0));
	check_lines(report.errors, report.error_count);
	check_lines(report.warnings, report.warning_count);
	check_lines(report.advice, report.advice_count);
	if (conf)
		check_conf(conf);
	conf_free(conf);
	conf_report_free(&report);
	return 0;
}
