/* What follows from changes, once per turn of the event loop. Control thread.
 *
 * Whatever happens on the control thread (a probe ends, a name is answered, a command, a reload) only changes state and
 * marks what is out of date. One event then brings everything up to date, in this order: who owns which server id, the
 * routing table, its publication, the flows that follow it, whom to probe, and which names to ask for.
 *
 * That event comes after everything else in this turn of the loop, and at least SETTLE_APART_MS after the last one. So
 * two hundred servers that go down at once make two or three tables: one at once, and one or two for all that is heard
 * in the meantime. It also rests SETTLE_REST times as long as the last one took. So servers that change their minds all
 * the time take a tenth of this thread at most, however large the pool. Callers that cannot wait call settle()
 * themselves: commands, reloads, and what shows states to others.
 *
 * What cannot be brought up to date for want of memory or descriptors stays marked and is logged once. The published
 * table stays meanwhile. The next tick tries again.
 */
#ifndef CIDLB_CONTROL_SETTLE_H
#define CIDLB_CONTROL_SETTLE_H

#include <stdint.h>

struct control;
struct event;
struct table;

enum settle_due {
	SETTLE_IDS = 1 << 0,   /* something has changed that decides who owns server ids */
	SETTLE_TABLE = 1 << 1, /* states, weights or addresses differ from the published ones; ids are settled first */
	SETTLE_TARGETS = 1 << 2, /* whom to probe, and how */
	SETTLE_NAMES = 1 << 3,   /* which names to ask for */
	SETTLE_SLOTS = 1 << 4,   /* the table lacks slots that are there now; to others it stays the same one */
};

enum { SETTLE_APART_MS = 50, SETTLE_REST = 9 };

struct settle {
	struct event *timer;
	uint64_t settled_ms; /* when ids and table were last brought up to date */
	uint64_t took_us;    /* how long that took */
	unsigned due;        /* of enum settle_due */
	unsigned failed;     /* those of `due` that were tried, failed and were logged */
};

/* 0 or -ENOMEM. */
int settle_open(struct control *control);
void settle_close(struct control *control);

/* Marks `due`, one or several of enum settle_due. It is brought up to date soon. */
void settle_mark(struct control *control, unsigned due);

/* Marks all that must follow a new configuration. What was marked before is in the table that came with it. */
void settle_mark_new(struct control *control);

/* Publishes `table`, then moves the flows whose server is somewhere else now. So it finds them when it speaks first. */
void settle_publish(struct control *control, struct table *table);

/* Called once per tick: tries again what failed, or got no timer. What waits for its time goes on waiting. */
void settle_tick(struct control *control);

/* Settles at once, for callers that answer with what is in force. 0, or -ENOMEM: the published table is not up to
 * date. */
int settle(struct control *control);

#endif
