/* One world: all events that one seed causes, one after the other. */
#ifndef CIDLB_TESTS_SIMULATION_PATH_WORLD_H
#define CIDLB_TESTS_SIMULATION_PATH_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "tests/simulation/path/backend.h"
#include "tests/simulation/path/balancer.h"
#include "tests/simulation/path/device.h"
#include "tests/simulation/path/dice.h"
#include "tests/simulation/path/forger.h"
#include "tests/simulation/path/invariants.h"
#include "tests/simulation/path/network.h"
#include "tests/simulation/path/tally.h"
#include "tests/simulation/path/trace.h"

enum event_kind {
	EVENT_DATAGRAM,
	EVENT_DEVICE,
	EVENT_NOTIFY,
	EVENT_LATE,
	EVENT_FLIGHT,
	EVENT_FORGER,
	EVENT_SWEEP,
	EVENT_CONTROL,
	EVENT_RESTART,
	EVENT_START
};

struct event {
	uint64_t at_ms, order; /* what was scheduled first happens first */
	enum event_kind kind;
	int number;
	uint32_t generation;
};

enum { EVENTS = 2 * NETWORK_DATAGRAMS };

/* What kind of world a seed gets. */
struct traits {
	unsigned devices;
	unsigned latency_ms, jitter_ms; /* of a leg */
	unsigned loss_percent, duplicate_percent, refuse_percent;
	unsigned forgers, forger_pause_ms, restless_percent, timed_percent;
	unsigned insiders; /* devices, the last ones, that forgers own */
	enum server_kind kinds[POOLS];
	unsigned v13_percent, resume_percent, swap_percent;
	uint32_t unproven_rate;
	unsigned restart_ms, control_ms; /* about the time between two of them; 0: never */
	unsigned move_percent, overlap_percent, reboot_percent;
	unsigned large_percent, late_percent;
	bool rejects; /* POOL_HOME has endpoint = "handshake" */
	bool hasty;   /* devices and servers hardly sleep, and want more than the allowances are */
	bool returns; /* devices also get their earlier addresses again */
	uint32_t max_flows, idle_s, cid_idle_s, hello_rate;
};

struct world {
	uint64_t seed, steps, now_ms;
	struct dice dice;
	struct traits traits;
	struct network network;
	struct balancer balancer;
	struct device devices[DEVICES];
	int holder[ADDRESSES]; /* the device that has it, or NOBODY */
	struct session sessions[SESSIONS];
	struct forgers forgers;
	struct invariants invariants;
	struct event events[EVENTS]; /* a heap */
	size_t event_count;
	uint64_t event_order;
	bool traced;
	const char *broken; /* the first broken invariant; the world ends after this step */
};

void world_schedule(struct world *world, unsigned in_ms, enum event_kind kind, int number, uint32_t generation);

/* Runs one world; `traced` shows it. Returns NULL, or which invariant was broken. */
const char *world_run(struct world *world, uint64_t seed, uint64_t steps, bool traced);

#endif
