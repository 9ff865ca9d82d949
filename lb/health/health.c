#include "health/health.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/util.h>

#include "base/clock.h"
#include "health/encap.h"
#include "health/probe.h"
#include "health/way.h"

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
	struct encap encap;
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

static void rest_if_idle(struct health *health)
{
	for (size_t i = 0; i < health->count; i++)
		if (way_leads_through(health->probes[i]))
			return;
	encap_rest(&health->encap);
}

/* The report comes last: it may take the probe away. */
static void report_result(struct probe *probe, const struct health_result *result)
{
	const bool repeat = probe->refusals > 0 && probe->refusals < probe->spec.how.fall;
	uint64_t took_us = clock_us() - probe->began_us;
	struct health *health = probe->health;
	struct health_result timed = *result;
	char reason[HEALTH_REASON_OCTETS];

	probe->asking = false;
	if (way_leaves_another(probe, result)) {
		probe_wake_in(probe, 0);
		return;
	}
	way_judge(probe, result, reason);
	timed.reason = reason;
	if (health->encap.shown && !way_leads_through(probe))
		rest_if_idle(health);
	if (!probe->kind->once)
		probe_wake_in(probe, repeat ? REPEAT_US : pause_us(probe, took_us));
	timed.took_us = probe->kind->once ? 0 : (uint32_t)took_us;
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
	/* Through the encapsulation only IPv6 tells. */
	report_result(probe, &(struct health_result){ .reason = probe->way == PROBE_ENCAP
									? "connection refused through the encapsulation"
									: "connection refused" });
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
	if ((probe_is_tunnelled(probe) || probe->way == PROBE_ENCAP) && is_unbound(err))
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

/* With `l2` the kernel first has to find the neighbour, which a question to its own address makes it do. */
static bool has_to_wait(const struct probe *probe)
{
	return way_is_closed(probe) && probe_left_us(probe) > REPEAT_US;
}

static void ask(struct probe *probe)
{
	int err;

	if (!probe->waits)
		probe->began_us = clock_us();
	probe->asking = true;
	probe->heard = false;
	err = way_is_due(probe) ? way_turn(probe) : 0;
	probe->waits = !err && has_to_wait(probe);
	if (probe->waits) {
		probe_wake_in(probe, REPEAT_US);
		return;
	}
	probe->began_us = clock_us();
	if (!err)
		probe->kind->begin(probe);
	else
		probe_fail(probe, err);
}

static void on_timer(evutil_socket_t fd, short events, void *ctx)
{
	struct probe *probe = ctx;

	(void)fd;
	(void)events;
	if (probe->asking && !probe->waits)
		probe->kind->wake(probe);
	else
		ask(probe);
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
	*probe = (struct probe){ .kind = kind,
				 .health = health,
				 .base = health->base,
				 .spec = *spec,
				 .to = spec->addr,
				 .encap = &health->encap };
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

	if (!health)
		return NULL;
	*health = (struct health){ .base = base, .report = report, .ctx = ctx };
	encap_init(&health->encap);
	return health;
}

int health_lend_answers(struct health *health, int fd)
{
	return encap_lend(&health->encap, health->base, fd);
}

static struct probe *find_probe(const struct health *health, const struct health_target *spec)
{
	for (size_t i = 0; i < health->count; i++) {
		if (target_is_same(&health->probes[i]->spec, spec))
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

/* Where there is no way now, there may be the old one again. */
static void update_encap(struct probe *probe, const struct health_encap *encap)
{
	static const uint8_t none[sizeof encap->from];

	if (probe->way == PROBE_ENCAP && memcmp(encap->from, none, sizeof none) != 0 &&
	    memcmp(encap->from, probe->spec.encap.from, sizeof none) != 0)
		way_begin_anew(probe);
	probe->spec.encap = *encap;
}

/* What answers are held against may change without a new question. So may the keys of the tunnel and the way to the
 * server. */
static void update_probe(struct probe *probe, const struct health_target *spec)
{
	probe->kept = true;
	update_encap(probe, &spec->encap);
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
	rest_if_idle(health);
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
	encap_end(&health->encap);
	free(health->probes);
	free(health);
}
