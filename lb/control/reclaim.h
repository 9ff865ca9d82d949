/* Takes back the stable numbers of what was configured once and has no flow any more. Control thread; for the rare
 * moment when there are no more numbers (uids_in_use.h). */
#ifndef CIDLB_CONTROL_RECLAIM_H
#define CIDLB_CONTROL_RECLAIM_H

struct control;

void reclaim_numbers(struct control *control);

#endif
