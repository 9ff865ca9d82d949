/* What follows from what has changed, once per turn of the event loop. Control thread.
 *
 * Whatever happens on the control thread (a probe ends, a name is answered, a command, a reload) only changes state and
 * marks what is no longer as it should be. One event then brings it all up to date, in this order: who owns which
 * server id, the routing table, its publication, the flows that follow it, whom to probe, and which names to ask for.
 *
 * That event comes after all else that this turn of the loop takes in, and SETTLE_APART_MS after the table before at
 * the earliest. So two hundred servers that go down at once make two tables or three: one at once, and one or two for
 * all that is heard in the meantime. Who cannot wait (a command, a reload) calls settle() itself.
 *
 * What cannot be brought up to date, for want of memory or descriptors, stays marked and is logged once. The published
 * table stays meanwhile. The next tick tries again.
 */
#ifndef CIDLB_CONTROL_SETTLE_H
#define CIDLB_CONTROL_SETTLE_H

#include <stdint.h>

struct control;
struct event;
struct table;

enum settle_due {
	SETTLE_IDS = 1 << 0,     /* something has changed by which server ids find their owners */
	SETTLE_TABLE = 1 << 1,   /* states, weights, or addresses are other than published; ids are settled first */
	SETTLE_TARGETS = 1 << 2, /* whom to probe, and how */
	SETTLE_NAMES = 1 << 3,   /* which names to ask for */
};

enum { SETTLE_APART_MS = 50 };

struct settle {
	struct event *timer;
	uint64_t published_ms; /* when the last table was */
	unsigned due;          /* of enum settle_due */
	unsigned failed;       /* of those that are due: tried, and logged */
};

/* 0 or -ENOMEM. */
int settle_open(struct control *control);
void settle_close(struct control *control);

/* `due`: one or several of enum settle_due, to be brought up to date soon. */
void settle_mark(struct control *control, unsigned due);

/* All that a new configuration has to be followed by; what was marked before is in the table that it came with. */
void settle_mark_new(struct control *control);

/* Publishes `table`, and has the sessions whose server is somewhere else now found by what it says first. */
void settle_publish(struct control *control, struct table *table);

/* At once, for who answers with what is in force. 0 or -ENOMEM: the published table is not up to date. */
int settle(struct control *control);

#endif
