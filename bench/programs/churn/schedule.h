/* Schedules: what happens to the servers, event by event. Pure. */
#ifndef CIDLB_BENCH_CHURN_SCHEDULE_H
#define CIDLB_BENCH_CHURN_SCHEDULE_H

#include "bench/programs/churn/member.h"

enum schedule_change {
	SCHEDULE_QUIET,   /* nothing but time passes */
	SCHEDULE_DOWN,    /* servers are stopped, or fail */
	SCHEDULE_BACK,    /* they are there again, and the next are drained where the schedule is an upgrade */
	SCHEDULE_ADD,     /* they are added to the configuration */
	SCHEDULE_REMOVE,  /* they are taken out of it */
	SCHEDULE_LIGHTER, /* their weight is halved */
	SCHEDULE_HEAVIER, /* it is what it was */
	SCHEDULE_NODE,    /* another balancer node gets all traffic: the network has hashed anew. It knows the
			 configuration,    and no connection */
};

struct schedule_event {
	enum schedule_change change;
	uint16_t first, count; /* the members that it happens to */
};

enum { SCHEDULE_EVENTS_MAX = 2 * MEMBERS_MAX };

struct schedule {
	const char *name; /* "rolling-1" */
	const char *text; /* for people */
	bool fixed_only;  /* not for devices whose addresses change at each event */
	bool saved;       /* servers that were down come back with their sessions */
	bool drains;      /* servers that will be down next are drained before */
	uint16_t parts;   /* of the members that an event is about; 0: one member at a time */
	enum { SCHEDULE_ROLL, SCHEDULE_FAIL, SCHEDULE_GROW, SCHEDULE_SHRINK, SCHEDULE_WEIGH, SCHEDULE_NOTHING } kind;
};

extern const struct schedule schedules[];
extern const size_t schedule_count;

/* Makes the members as they are before the first event, and the events. Returns the number of the events. No more than
 * `count` members are ever there. */
size_t schedule_begin(const struct schedule *schedule, struct schedule_event events[SCHEDULE_EVENTS_MAX],
		      struct member *members, size_t count);

/* Event `at` happens. */
void schedule_happen(const struct schedule *schedule, const struct schedule_event *events, size_t event_count,
		     size_t at, struct member *members);

const char *schedule_change_name(enum schedule_change change);

#endif
