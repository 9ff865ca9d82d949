/* A batch of datagrams on its way through walk, recall, route, limit and forward: all of the packet path but its
 * sockets. */
#ifndef CIDLB_PATH_BATCH_H
#define CIDLB_PATH_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "io/io.h"
#include "path/path.h"
#include "path/table.h"

/* From devices, at the listener (stable number) `number`, which is in the table; at most IO_BATCH. Counts each under
 * its verdict. What is to be sent is then in the outbox, and its payload still in `datagrams`. */
void batch_uplink(struct path *path, const struct table *table, uint16_t number, const struct io_datagram *datagrams,
		  size_t count);

/* The same from backends, at the endpoints with this port. */
void batch_reply(struct path *path, const struct table *table, uint16_t port, const struct io_datagram *datagrams,
		 size_t count);

/* The same at the own socket of pool `at` (index), which has one. */
void batch_pool_reply(struct path *path, const struct table *table, uint16_t at, const struct io_datagram *datagrams,
		      size_t count);

#endif
