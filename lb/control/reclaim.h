/* Takes back the stable numbers of what is no longer configured and has no flow any more. For the rare moment when
 * there are no more numbers (uids_in_use.h). Control thread. */
#ifndef CIDLB_CONTROL_RECLAIM_H
#define CIDLB_CONTROL_RECLAIM_H

struct control;

void reclaim_numbers(struct control *control);

#endif
