/* What runs short while cidlb runs, and when it is over: in the log. Control thread. */
#ifndef CIDLB_CONTROL_WATCH_H
#define CIDLB_CONTROL_WATCH_H

struct control;

/* Once per tick; it looks once a second. */
void watch_tick(struct control *control);

#endif
