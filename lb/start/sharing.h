/* Learned CIDs are shared with other nodes as the configuration says: ties learned/share.h to control/. Control
 * thread. */
#ifndef CIDLB_START_SHARING_H
#define CIDLB_START_SHARING_H

#include <event2/event.h>

struct control;
struct sharing;

/* From now on it follows each configuration that is applied. 0 or -errno. */
int sharing_new(struct sharing **out, struct control *control, struct event_base *base);
void sharing_free(struct sharing *sharing);

#endif
