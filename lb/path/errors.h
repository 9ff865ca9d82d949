/* What becomes of the ICMP errors in the queue of a worker's socket (icmp.h): each is counted for the backend that the
 * datagram was for, and rings the alarm, or is a stray. The worker's own thread. */
#ifndef CIDLB_PATH_ERRORS_H
#define CIDLB_PATH_ERRORS_H

#include <stddef.h>
#include <stdint.h>

#include "path/path.h"
#include "path/table.h"

/* Whose queue it is (io_send.queue): an endpoint's, with its port, or a pool's own, with its stable number. */
enum { ERRORS_ENDPOINT = 1 << 16, ERRORS_POOL = 2 << 16 };

/* Reads a bounded number of errors of `handle`. With the lock of no flow held. Returns how many there were. */
size_t errors_drain(struct path *path, const struct table *table, uint32_t queue, int handle);

#endif
