/* A batch of datagrams on its way through walk, recall, route, limit and forward. This is the whole packet path but its
 * sockets. */
#ifndef CIDLB_PATH_BATCH_H
#define CIDLB_PATH_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "io/io.h"
#include "path/path.h"
#include "path/table.h"

/* Takes at most IO_BATCH datagrams that came from devices to `listener`, a uid that is in the table. Counts each under
 * its verdict. Afterwards what is to be sent is in the outbox, and its payload still in `datagrams`. */
void batch_uplink(struct path *path, const struct table *table, uint16_t listener, const struct io_datagram *datagrams,
		  size_t count);

/* Takes datagrams that came from backends to the endpoints with this port. What is to be sent is then in the outbox,
 * too. What has a backend's address and came in through another interface than that of the way there is dropped and
 * counted. */
void batch_reply(struct path *path, const struct table *table, uint16_t port, const struct io_datagram *datagrams,
		 size_t count);

/* Takes datagrams that came from backends to the own socket of the pool at index `at`. Its forwarder must have one. The
 * interface counts here, too. */
void batch_pool_reply(struct path *path, const struct table *table, uint16_t at, const struct io_datagram *datagrams,
		      size_t count);

#endif
