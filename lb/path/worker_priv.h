/* A worker from inside: what worker*.c share. */
#ifndef CIDLB_PATH_WORKER_PRIV_H
#define CIDLB_PATH_WORKER_PRIV_H

#include "path/worker.h"

/* What an epoll event is about. The kind is at the top, and a uid or a port at the bottom. A TAG_PORT has the serial
 * number of its ports between them. A tag never holds a descriptor: events are fetched off-line, and when they are
 * served its number may belong to another file. */
enum tag { TAG_WAKE, TAG_LISTENER, TAG_ENDPOINT_V4, TAG_ENDPOINT_V6, TAG_PORT, TAG_POOL, TAG_SURPLUS, TAG_NOT_GIVEN };

enum { TAG_KIND_SHIFT = 56, TAG_SERIAL_SHIFT = 16 };
_Static_assert((int)TAG_SERIAL_SHIFT + (int)PORT_SOCKETS_SERIAL_BITS <= (int)TAG_KIND_SHIFT,
	       "a tag holds a serial number");

static inline uint64_t tag_make(enum tag tag, uint16_t number)
{
	return (uint64_t)tag << TAG_KIND_SHIFT | number;
}

static inline uint64_t tag_make_port(const struct port_sockets *ports, uint16_t port)
{
	return tag_make(TAG_PORT, port) | port_sockets_serial(ports) << TAG_SERIAL_SHIFT;
}

/* worker_sockets.c: registers a descriptor. 0 or -errno. */
int worker_watch(struct worker *worker, int fd, uint32_t events, uint64_t tag);

#endif
