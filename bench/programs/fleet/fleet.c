#include "bench/programs/fleet/fleet.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "bench/lib/clock.h"
#include "bench/lib/random.h"
#include "bench/programs/fleet/report.h"

enum { TICK_MS = 100 };

/* The times of all exchanges, kept until the end. */
struct samples {
	uint32_t *us;
	size_t count, capacity;
};

struct fleet {
	const struct fleet_settings *settings;
	struct device_world world;
	struct device **devices;
	uint64_t started_ms;
	uint64_t told_s; /* the story's last second */
	bool finishing;
	struct device_tally before_end;
	struct samples latencies, recoveries;
};

static double fleet_age_s(const struct fleet *fleet)
{
	return (double)(clock_ms() - fleet->started_ms) / 1000;
}

/* A sample for which there is no memory is left out. */
static void samples_add(struct samples *samples, uint64_t us)
{
	if (samples->count == samples->capacity) {
		size_t capacity = samples->capacity ? samples->capacity * 2 : 4096;
		uint32_t *grown = realloc(samples->us, capacity * sizeof *grown);
		if (!grown)
			return;
		samples->us = grown;
		samples->capacity = capacity;
	}
	samples->us[samples->count++] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static void fleet_on_answer(void *ctx, uint64_t latency_us)
{
	struct fleet *fleet = ctx;
	samples_add(&fleet->latencies, latency_us);
}

static void fleet_on_recovery(void *ctx, uint64_t latency_us)
{
	struct fleet *fleet = ctx;
	if (!fleet->finishing)
		samples_add(&fleet->recoveries, latency_us);
}

static void fleet_on_news(void *ctx, const struct device *device, enum device_news news, uint16_t old_port)
{
	const struct fleet *fleet = ctx;
	unsigned hero = fleet->settings->devices < FLEET_STORY_DEVICE ? fleet->settings->devices : FLEET_STORY_DEVICE;
	if (fleet->settings->story && (news == DEVICE_JOINED || device_number(device) == hero))
		report_news(fleet->settings->story, fleet_age_s(fleet), device, news, old_port);
}

static int compare_samples(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* Nearest rank. */
static double percentile_ms(const struct samples *sorted, unsigned percent)
{
	return sorted->us[(sorted->count * percent + 99) / 100 - 1] / 1000.0;
}

static struct fleet_times summarize(struct samples *samples)
{
	if (!samples->count)
		return (struct fleet_times){ 0 };
	qsort(samples->us, samples->count, sizeof *samples->us, compare_samples);
	return (struct fleet_times){
		.p50_ms = percentile_ms(samples, 50),
		.p99_ms = percentile_ms(samples, 99),
		.max_ms = percentile_ms(samples, 100),
	};
}

static void fleet_finish(struct fleet *fleet)
{
	fleet->finishing = true;
	fleet->before_end = fleet->world.tally;
	for (unsigned i = 0; i < fleet->settings->devices; i++)
		device_finish(fleet->devices[i]);
}

static void fleet_on_tick(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	struct fleet *fleet = ctx;
	const struct fleet_settings *settings = fleet->settings;
	const struct device_tally *tally = &fleet->world.tally;
	uint64_t age_ms = clock_ms() - fleet->started_ms;
	if (settings->story && age_ms / 1000 > fleet->told_s) {
		fleet->told_s = age_ms / 1000;
		report_second(settings->story, fleet_age_s(fleet), settings->devices, tally);
	}
	bool over = settings->duration_ms ? age_ms >= settings->duration_ms : tally->settled == settings->devices;
	if (over && !fleet->finishing)
		fleet_finish(fleet);
	if (tally->done == settings->devices || age_ms >= settings->max_ms)
		event_base_loopbreak(fleet->world.base);
}

static void fleet_on_signal(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	struct fleet *fleet = ctx;
	if (fleet->finishing)
		event_base_loopbreak(fleet->world.base);
	else
		fleet_finish(fleet);
}

static int fleet_configure(struct fleet *fleet)
{
	const struct fleet_settings *settings = fleet->settings;
	if (settings->device.plain)
		return 0;
	struct session_options options = {
		.role = SESSION_CLIENT,
		.psk_identity = settings->psk_identity,
		.psk_key = settings->psk_key,
		.psk_key_len = settings->psk_key_len,
		.certificates = settings->certificates,
		.use_cid = settings->offer_cid,
		.handshake_min_ms =
			(uint32_t)(settings->device.ack_timeout_ms < 1000 ? settings->device.ack_timeout_ms : 1000),
		.handshake_max_ms = 60000,
		.random = random_octets,
	};
	return session_config_new(&fleet->world.session_config, &options);
}

static int fleet_populate(struct fleet *fleet)
{
	const struct fleet_settings *settings = fleet->settings;
	fleet->devices = calloc(settings->devices, sizeof(struct device *));
	if (!fleet->devices)
		return -ENOMEM;
	for (unsigned i = 0; i < settings->devices; i++) {
		uint64_t start_ms = fleet->started_ms + settings->ramp_ms * i / settings->devices;
		fleet->devices[i] = device_new(&fleet->world, i + 1, start_ms);
		if (!fleet->devices[i])
			return -ENOMEM;
	}
	return 0;
}

static int fleet_dispatch(struct fleet *fleet)
{
	struct event_base *base = fleet->world.base;
	struct event *tick = event_new(base, -1, EV_PERSIST, fleet_on_tick, fleet);
	struct event *term = evsignal_new(base, SIGTERM, fleet_on_signal, fleet);
	struct event *interrupt = evsignal_new(base, SIGINT, fleet_on_signal, fleet);
	struct timeval span = clock_left(TICK_MS, 0);
	int err = -ENOMEM;
	if (tick && term && interrupt && !event_add(tick, &span) && !event_add(term, NULL) &&
	    !event_add(interrupt, NULL))
		err = event_base_dispatch(base) < 0 ? -EIO : 0;
	if (tick)
		event_free(tick);
	if (term)
		event_free(term);
	if (interrupt)
		event_free(interrupt);
	return err;
}

static void fleet_free(struct fleet *fleet)
{
	for (unsigned i = 0; fleet->devices && i < fleet->settings->devices; i++)
		device_free(fleet->devices[i]);
	free(fleet->devices);
	free(fleet->latencies.us);
	free(fleet->recoveries.us);
	session_config_free(fleet->world.session_config);
	if (fleet->world.base)
		event_base_free(fleet->world.base);
	free(fleet);
}

int fleet_run(struct fleet_result *out, const struct fleet_settings *settings)
{
	struct fleet *fleet = calloc(1, sizeof *fleet);
	if (!fleet)
		return -ENOMEM;
	fleet->settings = settings;
	fleet->started_ms = clock_ms();
	fleet->world.settings = settings->device;
	fleet->world.dice.state = settings->seed;
	fleet->world.on_answer = fleet_on_answer;
	fleet->world.on_recovery = fleet_on_recovery;
	fleet->world.on_news = fleet_on_news;
	fleet->world.ctx = fleet;
	fleet->world.base = event_base_new();
	int err = fleet->world.base ? fleet_configure(fleet) : -ENOMEM;
	if (!err)
		err = fleet_populate(fleet);
	if (!err)
		err = fleet_dispatch(fleet);
	if (!err) {
		*out = (struct fleet_result){
			.devices = settings->devices,
			.tally = fleet->world.tally,
			.before_end = fleet->finishing ? fleet->before_end : fleet->world.tally,
			.latency = summarize(&fleet->latencies),
			.recovery = summarize(&fleet->recoveries),
			.duration_s = fleet_age_s(fleet),
		};
	}
	fleet_free(fleet);
	return err;
}
