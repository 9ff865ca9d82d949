/* cidlb as a service of systemd: it says when it serves and what, and feeds the watchdog. Control thread.
 *
 * The watchdog (WatchdogSec) is fed if the control thread comes by, and every worker has come round its loop since the
 * last time. A worker that hangs in one datagram starves it as well as a control thread that hangs: systemd then ends
 * cidlb and starts it anew.
 */
#ifndef CIDLB_START_SERVICE_H
#define CIDLB_START_SERVICE_H

#include <event2/event.h>

struct control;
struct notify;
struct service;

/* From now on systemd hears through `notify`, which is borrowed and may be NULL. 0 or -errno. */
int service_new(struct service **out, struct notify *notify, struct control *control, struct event_base *base);
void service_free(struct service *service);

/* The workers run: `systemctl start` returns. */
void service_ready(struct service *service);

/* It is about to end. */
void service_stopping(struct service *service);

#endif
