/* Between sim.c, which builds a simulation and leads it through schedules, and sim_pass.c, which has all sessions send.
 */
#ifndef CIDLB_BENCH_CHURN_SIM_PRIV_H
#define CIDLB_BENCH_CHURN_SIM_PRIV_H

#include "bench/programs/churn/cidlb.h"
#include "bench/programs/churn/ketama.h"
#include "bench/programs/churn/sim.h"
#include "common/addr.h"

/* What a contender that decides by the source has. SIM_BY_CID has none. SIM_CONNECTIONS asks that of SIM_MAGLEV. */
struct sim_table {
	struct table table;
	uint16_t *owner, *before; /* by slot: member, now and before the event */
	uint32_t *sessions;       /* by slot: how many fall into it with their first addresses */
	uint8_t *broken;          /* by slot: these have been broken needlessly */
};

struct sim {
	struct sim_settings settings;
	struct cidlb *cidlb;
	struct ketama *ketama;
	struct sim_table tables[SIM_CONTENDERS];
	uint16_t *homes[SIM_CONTENDERS]; /* by session: member */
	uint8_t *broken;                 /* by session: a bit for each contender that has broken it needlessly */
	struct member members[MEMBERS_MAX];
	bool gone[MEMBERS_MAX];   /* its sessions are lost */
	bool serves[MEMBERS_MAX]; /* is there */
	bool led[MEMBERS_MAX];    /* its CIDs lead to it, also if it is down: a datagram has shown it */
};

/* One event. Without `moves`, SIM_BY_CID and SIM_CONNECTIONS alone are counted by session, and the others by slot. */
struct sim_pass {
	uint32_t epoch; /* of the devices' addresses */
	bool moves;     /* the addresses are new */
	bool all;       /* routes a datagram of each session with CID; else of those that change, and one for each id */
	bool node;      /* the balancer node is another, which knows no connection */
};

/* The address of a session's device. */
struct addr sim_source(uint32_t session, uint32_t epoch);

/* The first handshakes. */
void sim_pass_first(struct sim *sim, enum sim_addresses addresses);

/* Every session sends a datagram, and makes a handshake if it got to another server than its own. Returns the datagrams
 * with CID. */
uint64_t sim_pass_sessions(struct sim *sim, struct sim_count count[SIM_CONTENDERS], const struct sim_pass *pass);

/* The same for contenders that know the source alone, as long as addresses stay. */
void sim_pass_slots(struct sim *sim, struct sim_count count[SIM_CONTENDERS]);

#endif
