#include "health/health.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/util.h>

#include "base/clock.h"
#include "health/probe.h"

enum {
	REPEAT_US = 20000,   /* between a refused probe and its repetition */
	SUSPECT_US = 100000, /* between probes that the packet path asks for */
	SPREAD_MS = 100,     /* over which the first probes of many targets spread */
};

struct health {
	struct event_base *base;
	health_report report;
	void *ctx;
	struct probe **probes;
	size_t count;
};

static const struct probe_kind *const kinds[] = {
	[PROBE_DTLS] = &probe_dtls, [PROBE_COAP] = &probe_coap, [PROBE_COAPS] = &probe_coaps,
	[PROBE_HTTP] = &probe_http, [PROBE_NONE] = &probe_none,
};

void probe_wake_in(struct probe *probe, uint64_t us)
{
	struct timeval delay = { .tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000) };

	evtimer_add(probe->timer, &delay);
}

/* interval_ms ± 10 %, less what this probe has taken. */
static uint64_t pause_us(const struct probe *probe, uint64_t took_us)
{
	uint32_t random;
	uint64_t interval_us = (uint64_t)probe->spec.how.interval_ms * 1000;

	evutil_secure_rng_get_bytes(&random, sizeof random);
	interval_us = interval_us * 9 / 10 + random % (interval_us / 5 + 1);
	return interval_us > took_us + REPEAT_US ? interval_us - took_us : REPEAT_US;
}

static void free_probe(struct probe *probe)
{
	if (probe->timer)
		event_free(probe->timer);
	cid_layout_drop(&probe->spec.layout);
	free(probe->spec.how.path);
	free(probe->spec.how.psk_identity);
	explicit_bzero(probe->spec.how.psk_key, sizeof probe->spec.how.psk_key);
	explicit_bzero(&probe->spec.tunnel.keys, sizeof probe->spec.tunnel.keys);
	free(probe);
}

/* A report points into the probe, which stays as long as that. */
static void close_probe(struct probe *probe)
{
	if (probe->reporting) {
		probe->gone = true;
		return;
	}
	probe->kind->close(probe);
	free_probe(probe);
}

/* The report comes last: it may take the probe away. */
static void report_result(struct probe *probe, const struct health_result *result)
{
	const bool repeat = probe->refusals > 0 && probe->refusals < probe->spec.how.fall;
	uint64_t took_us = clock_us() - probe->began_us;
	struct health *health = probe->health;
	struct health_result timed = *result;

	probe->asking = false;
	if (!probe->kind->once)
		probe_wake_in(probe, repeat ? REPEAT_US : pause_us(probe, took_us));
	timed.took_us = (uint32_t)took_us;
	timed.tunnelled = probe_is_tunnelled(probe) && probe->kind->received;
	timed.version = timed.ok ? (enum proxy2_version)probe->tunnel.version : PROXY2_V1;
	probe->reporting = true;
	health->report(health->ctx, probe->spec.uid, &timed);
	probe->reporting = false;
	if (probe->gone)
		close_probe(probe);
}

void probe_finish(struct probe *probe, const struct health_result *result)
{
	probe->refusals = 0;
	report_result(probe, result);
}

static void finish_refused(struct probe *probe)
{
	if (probe->refusals < probe->spec.how.fall)
		probe->refusals++;
	report_result(probe, &(struct health_result){ .reason = "connection refused" });
}

static bool is_shortage(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -ENOBUFS;
}

/* Binding fails like this, which only a socket with an address of its own does. */
static bool is_unbound(int err)
{
	return err == -EADDRINUSE || err == -EADDRNOTAVAIL || err == -EACCES;
}

/* A source that is no address of this host (any more) serves no session either. */
static bool is_unasked(const struct probe *probe, int err)
{
	if (probe_is_tunnelled(probe) && is_unbound(err))
		return true;
	return is_shortage(err) || (probe->spec.sources.prefix_count > 0 && err == -EADDRINUSE);
}

void probe_fail(struct probe *probe, int err)
{
	char reason[HEALTH_REASON_OCTETS], local[ADDR_TEXT_OCTETS];

	if (err == -ECONNREFUSED) {
		finish_refused(probe);
		return;
	}
	if (!is_unbound(err) || (!probe_is_tunnelled(probe) && probe->spec.sources.prefix_count == 0))
		snprintf(reason, sizeof reason, "%s", strerror(-err));
	else
		snprintf(reason, sizeof reason, "cannot ask from %s: %s",
			 probe_is_tunnelled(probe) ? addr_format(&probe->spec.tunnel.local, local) : "nat.sources",
			 strerror(-err));
	probe_finish(probe, &(struct health_result){ .unasked = is_unasked(probe, err), .reason = reason });
}

static void on_timer(evutil_socket_t fd, short events, void *ctx)
{
	struct probe *probe = ctx;

	(void)fd;
	(void)events;
	if (probe->asking) {
		probe->kind->wake(probe);
		return;
	}
	probe->began_us = clock_us();
	probe->asking = true;
	probe->kind->begin(probe);
}

static int copy_texts(struct conf_health *how)
{
	const char *path = how->path, *identity = how->psk_identity;

	how->path = path ? strdup(path) : NULL;
	how->psk_identity = identity ? strdup(identity) : NULL;
	return (path && !how->path) || (identity && !how->psk_identity) ? -ENOMEM : 0;
}

static int open_probe(struct probe **out, struct health *health, const struct health_target *spec)
{
	const struct probe_kind *kind = kinds[spec->how.probe];
	struct probe *probe = calloc(1, kind->octets);
	int err;

	if (!probe)
		return -ENOMEM;
	*probe =
		(struct probe){ .kind = kind, .health = health, .base = health->base, .spec = *spec, .to = spec->addr };
	if (spec->how.port != 0)
		probe->to.port = spec->how.port;
	probe->spec.layout = cid_layout_share(&spec->layout);
	evutil_secure_rng_get_bytes(&probe->ports, sizeof probe->ports);
	err = copy_texts(&probe->spec.how);
	probe->timer = evtimer_new(health->base, on_timer, probe);
	if (err || !probe->timer) {
		free_probe(probe);
		return -ENOMEM;
	}
	err = kind->open(probe);
	if (!err)
		*out = probe;
	else
		close_probe(probe);
	return err;
}

struct health *health_new(struct event_base *base, health_report report, void *ctx)
{
	struct health *health = calloc(1, sizeof *health);

	if (health)
		*health = (struct health){ .base = base, .report = report, .ctx = ctx };
	return health;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_question(const struct conf_health *a, const struct conf_health *b)
{
	return a->probe == b->probe && a->port == b->port && same_text(a->path, b->path) &&
	       same_text(a->psk_identity, b->psk_identity) && a->psk_key_len == b->psk_key_len &&
	       memcmp(a->psk_key, b->psk_key, a->psk_key_len) == 0;
}

static bool same_tunnel(const struct health_tunnel *a, const struct health_tunnel *b)
{
	return (a->keys.count > 0) == (b->keys.count > 0) && addr_equal(&a->local, &b->local) &&
	       addr_equal(&a->service, &b->service);
}

static bool same_sources(const struct endpoint_space *a, const struct endpoint_space *b)
{
	if (a->prefix_count != b->prefix_count || a->port_first != b->port_first || a->port_last != b->port_last)
		return false;
	for (size_t i = 0; i < a->prefix_count; i++)
		if (!addr_equal(&a->prefixes[i].first, &b->prefixes[i].first) ||
		    a->prefixes[i].host_bits != b->prefixes[i].host_bits)
			return false;
	return true;
}

static bool same_target(const struct health_target *a, const struct health_target *b)
{
	return a->uid == b->uid && addr_equal(&a->addr, &b->addr) && same_question(&a->how, &b->how) &&
	       same_sources(&a->sources, &b->sources) && same_tunnel(&a->tunnel, &b->tunnel) &&
	       a->how.interval_ms == b->how.interval_ms && a->how.timeout_ms == b->how.timeout_ms &&
	       a->how.fall == b->how.fall;
}

static struct probe *find_probe(const struct health *health, const struct health_target *spec)
{
	for (size_t i = 0; i < health->count; i++) {
		if (same_target(&health->probes[i]->spec, spec))
			return health->probes[i];
	}
	return NULL;
}

/* Finds the probes of `specs`, or makes new ones that are not started yet. On failure nothing has changed. */
static int collect_probes(struct health *health, struct probe **out, const struct health_target *specs, size_t count)
{
	int err = 0;
	size_t n = 0;

	for (; n < count; n++) {
		out[n] = find_probe(health, &specs[n]);
		if (!out[n])
			err = open_probe(&out[n], health, &specs[n]);
		if (err)
			break;
	}
	while (err && n-- > 0) {
		if (!out[n]->started)
			close_probe(out[n]);
	}
	return err;
}

/* What answers are held against may change without a new question, and so may the keys of the tunnel. */
static void update_probe(struct probe *probe, const struct health_target *spec)
{
	probe->kept = true;
	cid_layout_drop(&probe->spec.layout);
	probe->spec.layout = cid_layout_share(&spec->layout);
	probe->spec.tunnel.keys = spec->tunnel.keys;
	probe->spec.has_id = spec->has_id;
	probe->spec.id = spec->id;
}

int health_set_targets(struct health *health, const struct health_target *targets, size_t count)
{
	struct probe **next = calloc(count + 1, sizeof(struct probe *));
	size_t fresh = 0;
	int err;

	if (!next)
		return -ENOMEM;
	err = collect_probes(health, next, targets, count);
	if (err) {
		free(next);
		return err;
	}
	for (size_t i = 0; i < health->count; i++)
		health->probes[i]->kept = false;
	for (size_t i = 0; i < count; i++)
		update_probe(next[i], &targets[i]);
	for (size_t i = 0; i < health->count; i++) {
		if (!health->probes[i]->kept)
			close_probe(health->probes[i]);
	}
	free(health->probes);
	health->probes = next;
	health->count = count;
	for (size_t i = 0; i < count; i++) {
		if (next[i]->started)
			continue;
		next[i]->started = true;
		probe_wake_in(next[i], 1000 * (count <= SPREAD_MS ? fresh : fresh * SPREAD_MS / count));
		fresh++;
	}
	return 0;
}

void health_suspect(struct health *health, uint16_t uid)
{
	for (size_t i = 0; i < health->count; i++) {
		struct probe *probe = health->probes[i];
		if (probe->spec.uid != uid || probe->kind->once || probe->asking || probe->refusals > 0)
			continue;
		uint64_t ago_us = clock_us() - probe->began_us;
		probe_wake_in(probe, ago_us < SUSPECT_US ? SUSPECT_US - ago_us : 0);
	}
}

void health_free(struct health *health)
{
	if (!health)
		return;
	for (size_t i = 0; i < health->count; i++)
		close_probe(health->probes[i]);
	free(health->probes);
	free(health);
}
