#include "ctl/route.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"
#include "common/hex.h"
#include "common/siphash.h"
#include "control/table_bad_sources.h"
#include "control/table_spec.h"
#include "ctl/configuration.h"
#include "ctl/explain.h"

enum { DATAGRAM_OCTETS = 65535 };

struct datagram {
	uint8_t data[DATAGRAM_OCTETS];
	size_t len;
};

/* Takes hex digits, white space and colons from `in`. */
static bool read_hex(struct datagram *out, FILE *in)
{
	int c, high = -1;
	size_t column = 0;

	out->len = 0;
	while ((c = fgetc(in)) != EOF) {
		column++;
		if (isspace(c) || c == ':')
			continue;
		const int digit = hex_digit(c);
		if (digit < 0) {
			fprintf(stderr, "cidlbctl: the datagram is no hex: character %zu\n", column);
			return false;
		}
		if (high < 0) {
			high = digit;
			continue;
		}
		if (out->len == DATAGRAM_OCTETS) {
			fprintf(stderr, "cidlbctl: no datagram is longer than %d octets\n", DATAGRAM_OCTETS);
			return false;
		}
		out->data[out->len++] = (uint8_t)(high << 4 | digit);
		high = -1;
	}
	if (high >= 0)
		fprintf(stderr, "cidlbctl: the datagram ends in half an octet\n");
	return high < 0;
}

static bool read_datagram(struct datagram *out, const char *hex)
{
	FILE *in = strcmp(hex, "-") == 0 ? stdin : fmemopen((char *)(uintptr_t)hex, strlen(hex), "r");
	bool ok = false;

	if (in)
		ok = read_hex(out, in);
	else
		fprintf(stderr, "cidlbctl: the datagram is empty\n");
	if (in && in != stdin)
		fclose(in);
	return ok;
}

static const struct conf_listener *choose_listener(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->listener_count; i++) {
		if (name ? strcmp(conf->listeners[i].name, name) == 0 : conf->listener_count == 1)
			return &conf->listeners[i];
	}
	fprintf(stderr,
		name ? "cidlbctl: no listener is called %s; there are" : "cidlbctl: choose with --listener one of",
		name);
	for (size_t i = 0; i < conf->listener_count; i++)
		fprintf(stderr, "%s %s", i > 0 ? "," : "", conf->listeners[i].name);
	fputc('\n', stderr);
	return NULL;
}

/* The table that the daemon starts with: every backend up, in the administrative state of the file. */
static struct snapshot *build(const struct conf *conf)
{
	struct uids *pools = uids_new(STATS_POOLS);
	struct uids *backends = uids_new(STATS_BACKENDS);
	struct siphash_key key = siphash_key_load(conf->hash_key);
	struct snapshot *snapshot = NULL;
	struct bad_sources *bad_sources = NULL;
	struct table_spec spec = { 0 };
	struct host_addrs host;

	(void)host_addrs_read(&host);
	if (pools && backends && table_spec_make(&spec, conf, pools, backends) == 0) {
		spec.host = host;
		snapshot = snapshot_build(&key, spec.pools, spec.pool_count, NULL);
		bad_sources = table_bad_sources_new(conf, &spec, NULL);
	}
	if (snapshot && bad_sources) {
		snapshot_take_bad_sources(snapshot, bad_sources);
	} else {
		snapshot_free(snapshot);
		bad_sources_free(bad_sources);
		snapshot = NULL;
	}
	host_addrs_free(&host);
	if (!snapshot)
		fprintf(stderr, "cidlbctl: cannot build the routing table\n");
	table_spec_free(&spec);
	uids_free(pools);
	uids_free(backends);
	return snapshot;
}

static enum ctl_exit explain(const struct conf *conf, const struct datagram *datagram, const struct addr *from,
			     const struct ctl_options *options)
{
	const struct conf_listener *listener = choose_listener(conf, options->listener);
	struct explanation explanation;
	int err = 0;

	if (!listener)
		return CTL_REFUSED;
	struct snapshot *snapshot = build(conf);
	if (!snapshot)
		return CTL_REFUSED;
	explain_make(&explanation,
		     &(struct explain_question){ .listener = listener,
						 .pool = &snapshot->pools[listener->pool],
						 .data = datagram->data,
						 .len = datagram->len,
						 .source = from,
						 .learns_sessions = conf->pools[listener->pool].max_resumable > 0 });
	if (options->json)
		err = explain_print_json(&explanation, stdout);
	else
		explain_print_text(&explanation, stdout);
	snapshot_free(snapshot);
	return !err ? CTL_OK : CTL_REFUSED;
}

enum ctl_exit route_run(char **words, const struct ctl_options *options)
{
	static struct datagram datagram;
	struct addr from;

	if (options->from && addr_parse(&from, options->from) != 0) {
		fprintf(stderr, "cidlbctl: --from takes A.B.C.D:PORT or [IPV6]:PORT, not %s\n", options->from);
		return CTL_USAGE;
	}
	if (!read_datagram(&datagram, words[1]))
		return CTL_REFUSED;
	struct conf *conf = configuration_load(options->file);
	if (!conf)
		return CTL_REFUSED;
	enum ctl_exit status = explain(conf, &datagram, options->from ? &from : NULL, options);
	conf_free(conf);
	return status;
}
