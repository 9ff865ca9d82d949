/* What cidlb tells systemd, and gives into its keeping (sd_notify(3)). Nothing happens where nobody listens. Control
 * thread. */
#ifndef CIDLB_START_NOTIFY_H
#define CIDLB_START_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>

struct notify;

/* To the socket that NOTIFY_SOCKET of the environment names. NULL: there is none, or no way to it, which is logged:
 * then systemd ends cidlb after its TimeoutStartSec. */
struct notify *notify_new(void);
void notify_free(struct notify *notify);

enum notify_how { NOTIFY_NOW /* or not at all */, NOTIFY_WAIT /* up to a second, for what is told once */ };

/* Sends assignments, one a line, as "READY=1\nSTATUS=…". 0 or -errno. That of NOTIFY_WAIT is logged. `notify` may be
 * NULL. */
int notify_send(struct notify *notify, const char *state, enum notify_how how);

enum { NOTIFY_FDS = 253 /* at most, as the kernel has it */ };

/* The same with descriptors. It waits. */
int notify_send_fds(struct notify *notify, const char *state, const int *fds, size_t count);

#endif
