/* What happens to the servers, in order: plans of events. Pure. */
#ifndef CIDLB_BENCH_CHURN_PLAN_H
#define CIDLB_BENCH_CHURN_PLAN_H

#include "bench/programs/churn/member.h"

enum plan_change {
	PLAN_QUIET,   /* nothing but time passes */
	PLAN_DOWN,    /* servers are stopped, or fail */
	PLAN_BACK,    /* they are there again, and the next are drained where the plan is an upgrade */
	PLAN_ADD,     /* they are added to the configuration */
	PLAN_REMOVE,  /* they are taken out of it */
	PLAN_LIGHTER, /* their weight is halved */
	PLAN_HEAVIER, /* it is what it was */
	PLAN_NODE, /* another balancer node gets all traffic: the network has hashed anew. It knows the configuration,
		      and no connection */
};

struct plan_event {
	enum plan_change change;
	uint16_t first, count; /* the members that it happens to */
};

enum { PLAN_EVENTS_MAX = 2 * MEMBERS_MAX };

struct plan {
	const char *name; /* "rolling-1" */
	const char *text; /* for people */
	bool fixed_only;  /* not for devices whose addresses change at each event */
	bool saved;       /* who was down comes back with its sessions */
	bool drains;      /* who will be down next is drained before */
	/* In parts of the members, or 0 for one at a time. */
	uint16_t parts;
	enum { PLAN_ROLL, PLAN_FAIL, PLAN_GROW, PLAN_SHRINK, PLAN_WEIGH, PLAN_NOTHING } kind;
};

extern const struct plan plans[];
extern const size_t plan_count;

/* The members as they are before the first event, and the events: their number. `count` members at most are ever
 * there. */
size_t plan_begin(const struct plan *plan, struct plan_event events[PLAN_EVENTS_MAX], struct member *members,
		  size_t count);

/* Event `at` happens. */
void plan_happen(const struct plan *plan, const struct plan_event *events, size_t event_count, size_t at,
		 struct member *members);

const char *plan_change_name(enum plan_change change);

#endif
