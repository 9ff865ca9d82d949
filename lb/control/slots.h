/* The slots of pools that are new, as all are at a start, are built while cidlb serves. Control thread.
 *
 * A table is published without them (snapshot_begin()). They are built in pieces, one per turn of the event loop, and
 * come with the next table, which settle() then publishes. Members or weights that change meanwhile begin anew.
 */
#ifndef CIDLB_CONTROL_SLOTS_H
#define CIDLB_CONTROL_SLOTS_H

struct control;
struct table;

/* 0 or -ENOMEM. */
int slots_open(struct control *control);
void slots_close(struct control *control);

/* Called with each published table: sees to the slots that it lacks. */
void slots_follow(struct control *control, const struct table *table);

#endif
