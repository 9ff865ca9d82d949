/* Logs what runs short while cidlb runs, and when that is over. Control thread. */
#ifndef CIDLB_CONTROL_WATCH_H
#define CIDLB_CONTROL_WATCH_H

struct control;

/* Called once per tick. It looks once a second. */
void watch_tick(struct control *control);

#endif
