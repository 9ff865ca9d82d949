#include "control/control_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "admin/metrics.h"
#include "base/log.h"
#include "control/fingerprint.h"

enum { EXPLAIN_TICKS = 40 }; /* ten seconds */

struct control_place control_place_at(struct control *control, size_t at)
{
	const struct conf_pool *pool = control->conf->pools;
	size_t first = 0;

	while (at - first >= pool->backend_count)
		first += pool++->backend_count;
	return (struct control_place){ at, pool, &pool->backends[at - first], &control->plan.backends[at] };
}

bool control_locate(struct control *control, uint16_t uid, struct control_place *out)
{
	for (size_t at = 0; at < control->plan.backend_count; at++) {
		if (control->plan.backends[at].uid == uid) {
			*out = control_place_at(control, at);
			return true;
		}
	}
	return false;
}

time_t control_clock_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

bool control_ready(void *ctx)
{
	const struct control *control = ctx;

	for (size_t i = 0; i < control->plan.backend_count; i++)
		if (!control->states[control->plan.backends[i].uid].probed)
			return false;
	return true;
}

static struct metrics_backend backend_view(const struct control *control, uint16_t uid, const char *pool,
					   const char *name)
{
	const struct control_backend *known = &control->backends[uid];
	const uint32_t last_s = worker_cid_last_s(control->workers, control->worker_count, uid);

	return (struct metrics_backend){
		.uid = uid,
		.name = name,
		.pool_name = pool,
		.state = control->states[uid],
		.probes = { known->probes[false], known->probes[true] },
		.probe_us = known->took_us,
		.findings = known->findings,
		.flows = flows_of_backend(control->flows, uid),
		.cid_at_s = last_s ? (uint64_t)(time(NULL) - (control_clock_s() - (time_t)last_s)) : 0,
	};
}

static void view_write(struct control *control, const struct stats *sum, struct evbuffer *out)
{
	const struct conf *conf = control->conf;
	struct metrics_listener listeners[CONF_MAX_LISTENERS];
	struct metrics_pool pools[CONF_MAX_POOLS];
	struct metrics_backend *backends = calloc(control->plan.backend_count, sizeof *backends);
	char fingerprint[FINGERPRINT_TEXT_OCTETS];
	size_t at = 0;

	if (!backends)
		return;
	for (size_t i = 0; i < conf->listener_count; i++) {
		const struct conf_listener *listener = &conf->listeners[i];

		listeners[i] =
			(struct metrics_listener){ control->listener_uids[i], control->plan.pools[listener->pool].uid,
						   listener->name, conf->pools[listener->pool].name };
	}
	for (size_t i = 0; i < conf->pool_count; i++) {
		uint16_t uid = control->plan.pools[i].uid;
		struct flows_count count = flows_count(control->flows, uid);

		pools[i] = (struct metrics_pool){ uid,
						  conf->pools[i].name,
						  conf->pools[i].forward == FORWARD_TUNNEL,
						  stateless_listener(conf, i) != NULL,
						  count.trial,
						  count.proven,
						  count.evicted,
						  control->pools[uid].id_moves,
						  control_ids_contested(control, uid) };
		for (size_t j = 0; j < conf->pools[i].backend_count; j++, at++) {
			uint16_t backend = control->plan.backends[at].uid;

			backends[at] =
				backend_view(control, backend, conf->pools[i].name, conf->pools[i].backends[j].name);
		}
	}

	metrics_write(out, &(struct metrics_view){
				   .sum = sum,
				   .listeners = listeners,
				   .listener_count = conf->listener_count,
				   .pools = pools,
				   .pool_count = conf->pool_count,
				   .backends = backends,
				   .backend_count = at,
				   .admin_http_stalls = admin_http_stalls(),
				   .generation = publisher_read(&control->publisher)->snapshot->generation,
				   .fingerprint = fingerprint_format(fingerprint, conf),
			   });
	free(backends);
}

struct stats *control_stats(const struct control *control)
{
	struct stats *sum = aligned_alloc(_Alignof(struct stats), sizeof *sum);

	if (!sum)
		return NULL;
	memset(sum, 0, sizeof *sum);
	for (unsigned i = 0; i < control->worker_count; i++)
		stats_sum(sum, &control->workers[i]->path.stats);
	return sum;
}

void control_metrics(void *ctx, struct evbuffer *out)
{
	struct control *control = ctx;
	struct stats *sum = control_stats(control);

	if (sum)
		view_write(control, sum, out);
	free(sum);
}

static void sample_log(const struct path_sample *sample, const struct conf_pool *pool)
{
	char lengths[256] = "";
	size_t used = 0;

	if (pool->layout.rotations && !cid_config(&pool->layout, sample->first >> 5)) {
		log_event(LOG_LEVEL_WARNING, "unknown_cid", pool->name, NULL,
			  "a CID is of rotation %u, which none of cid.configs has", sample->first >> 5);
		return;
	}
	if (sample->fits) {
		log_event(LOG_LEVEL_WARNING, "unknown_cid", pool->name, NULL,
			  "a CID carries a server id that no backend has: is a backend missing, or is %s wrong?",
			  pool->layout.rotations ? "a key, or a length, in cid.configs" : "cid.offset or cid.size");
		return;
	}
	for (unsigned n = 1; n <= LBCID_MAX_OCTETS; n++)
		if (sample->lengths >> n & 1)
			used += (size_t)snprintf(lengths + used, sizeof lengths - used, "%s%u", used ? ", " : "", n);
	log_event(LOG_LEVEL_WARNING, "unknown_cid", pool->name, NULL,
		  "a record does not fit %s %u; lengths that would fit: %s",
		  pool->layout.rotations ? "1 + server_id_length + nonce_length =" : "cid.length",
		  cid_length(&pool->layout, sample->first), used ? lengths : "none");
}

void control_explain(struct control *control)
{
	if (control->explain_in > 0) {
		control->explain_in--;
		return;
	}
	for (unsigned i = 0; i < control->worker_count; i++) {
		struct path_sample *sample = &control->workers[i]->path.sample;

		if (!atomic_load_explicit(&sample->full, memory_order_acquire))
			continue;
		for (size_t j = 0; j < control->plan.pool_count; j++) {
			if (control->plan.pools[j].uid == sample->pool && control->explain_in == 0) {
				sample_log(sample, &control->conf->pools[j]);
				control->explain_in = EXPLAIN_TICKS;
			}
		}
		atomic_store_explicit(&sample->full, false, memory_order_release);
	}
}
