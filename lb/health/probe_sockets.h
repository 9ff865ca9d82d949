/* The sockets of a probe, as its struct holds them. probe_port.h says what a port is. */
#ifndef CIDLB_HEALTH_PROBE_SOCKETS_H
#define CIDLB_HEALTH_PROBE_SOCKETS_H

#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/addr.h"

struct probe;

struct probe_socket {
	int fd;
	struct event readable;
};

struct probe_port {
	struct probe *probe; /* NULL: closed */

	/* not in a tunnel */
	struct probe_socket socket;

	/* in a tunnel */
	uint16_t number;

	/* in an encapsulation, which has a socket, too */
	struct addr local;

	/* in either */
	struct probe_port *next; /* of probe_tunnel.ports, or of encap.ports */
};

/* What the ports of one probe share; all zero at first. */
struct probe_tunnel {
	struct probe_port *ports;   /* that are open */
	struct probe_socket socket; /* open as long as one of them is */
	uint16_t last;              /* number given; 0: none was */
	uint8_t version;            /* of the header that came last: enum proxy2_version */
};

#endif
