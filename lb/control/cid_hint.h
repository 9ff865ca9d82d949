/* Hints in the log for CIDs that lead nowhere. A worker samples such a datagram, and the log says what may be wrong.
 * Control thread. */
#ifndef CIDLB_CONTROL_CID_HINT_H
#define CIDLB_CONTROL_CID_HINT_H

struct control;

/* Logs what a worker has sampled, at most once in ten seconds. Called once per tick. */
void cid_hint_tick(struct control *control);

#endif
