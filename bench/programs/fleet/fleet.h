/* A fleet of simulated devices, from their first handshake to their last exchange. One thread, libevent. */
#ifndef CIDLB_BENCH_FLEET_FLEET_H
#define CIDLB_BENCH_FLEET_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "bench/programs/fleet/device.h"

/* The device whose moves the story tells, or the last one of a smaller fleet. */
enum { FLEET_STORY_DEVICE = 17 };

struct fleet_settings {
	struct device_settings device;
	unsigned devices; /* >= 1 */
	uint64_t seed;
	uint64_t ramp_ms;     /* from the first device's start to the last one's */
	uint64_t duration_ms; /* 0: until every device has made its rebinds */
	uint64_t max_ms;      /* the end, whatever happens */
	bool offer_cid;
	const char *psk_identity;
	uint8_t psk_key[SESSION_PSK_MAX];
	size_t psk_key_len; /* octets; not used by plain devices */
	char *certificates; /* PEM, in place of a PSK; NULL: none */
	FILE *story;        /* NULL: none */
};

/* Of how many there were; 0: none. */
struct fleet_times {
	double p50_ms, p99_ms, max_ms;
};

struct fleet_result {
	unsigned devices;
	struct device_tally tally;
	struct device_tally
		before_end;         /* when the last exchanges began, in which devices do what they do nowhere else */
	struct fleet_times latency; /* from a request's first try to its response */
	struct fleet_times
		recovery; /* from the first datagram after a move until an exchange was answered, before the end */
	double duration_s;
};

/* Returns 0, or -errno if it cannot start. SIGTERM and SIGINT bring on the last exchanges. A second signal ends it at
 * once. */
int fleet_run(struct fleet_result *out, const struct fleet_settings *settings);

#endif
