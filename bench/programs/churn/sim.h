/* Sessions, servers and contenders go through a schedule. After each event, it is asked where the next datagram of
 * every session goes.
 *
 * A session is at the server that has its keys, its home. When its next datagram leads to another server, or nowhere,
 * while its home is there, it is broken needlessly: the device makes a handshake, and that server is its home now. When
 * its home is gone (down without having saved its sessions, or removed), no balancer can help: unavoidable.
 */
#ifndef CIDLB_BENCH_CHURN_SIM_H
#define CIDLB_BENCH_CHURN_SIM_H

#include "bench/programs/churn/member.h"
#include "bench/programs/churn/schedule.h"

enum sim_contender { SIM_BY_CID, SIM_BY_ADDRESS, SIM_MAGLEV, SIM_CONNECTIONS, SIM_KETAMA, SIM_MODULO, SIM_CONTENDERS };

struct sim_settings {
	uint32_t members;  /* 20..MEMBERS_MAX */
	uint32_t sessions; /* 1 and more */
};

struct sim_count {
	uint64_t needless, unavoidable; /* sessions */
};

struct sim_result {
	size_t events;
	struct schedule_event event[SCHEDULE_EVENTS_MAX];
	struct sim_count of[SCHEDULE_EVENTS_MAX][SIM_CONTENDERS]; /* at each event */
	uint64_t ever[SIM_CONTENDERS];                            /* sessions broken needlessly once or more */
	uint64_t routed; /* datagrams with CID, one by one through route_batch() */
};

struct sim;

/* -ENOMEM */
int sim_new(struct sim **out, const struct sim_settings *settings);
void sim_free(struct sim *sim);

enum sim_addresses {
	SIM_ADDRESSES_STAY,
	SIM_ADDRESSES_MOVE, /* each device has another one at each event; not for schedules that say fixed_only */
};

/* -ENOMEM */
int sim_run(struct sim *sim, struct sim_result *result, const struct schedule *schedule, enum sim_addresses addresses);

const char *sim_contender_name(enum sim_contender contender);

#endif
