/* What becomes of the ICMP errors in the queue of a worker's socket (icmp.h). Each is counted for the backend that the
 * datagram was for, or as a stray. It also rings the alarm, unless it only tells of a smaller path MTU. The worker's
 * own thread. */
#ifndef CIDLB_PATH_ERRORS_H
#define CIDLB_PATH_ERRORS_H

#include <stddef.h>
#include <stdint.h>

#include "path/path.h"
#include "path/table.h"

/* Whose queue it is (io_send.queue). The low 16 bits are the port of an endpoint, or the uid of a pool with a socket of
 * its own. */
enum {
	ERRORS_ENDPOINT = 1 << 16,
	ERRORS_POOL = 2 << 16,
	ERRORS_BARE = 3 << 16, /* of a socket that all pools of mode dsr share, and all workers */
};

/* Reads a bounded number of errors of `handle`. The caller holds no flow's lock. Returns how many there were. */
size_t errors_drain(struct path *path, const struct table *table, uint32_t queue, int handle);

#endif
