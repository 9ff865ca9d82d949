/* What may be wrong where CIDs lead nowhere: a worker samples a datagram, the log says what it looks like. Control
 * thread. */
#ifndef CIDLB_CONTROL_CID_HINT_H
#define CIDLB_CONTROL_CID_HINT_H

struct control;

/* Logs what a worker sampled, if anything and if not done lately. Once per tick. */
void cid_hint_tick(struct control *control);

#endif
