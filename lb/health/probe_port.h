/* Where a probe of datagrams asks from: a connected socket of its own. In the encapsulation of mode dsr it is one that
 * only receives (encap.h). In a pool of mode tunnel it is a port number inside the tunnel, which nobody binds.
 * Datagrams go and come behind the tunnel's header, for all ports of one probe through one connected socket. All of
 * these sockets have the same local port, so that servers need to know only one. Control thread. */
#ifndef CIDLB_HEALTH_PROBE_PORT_H
#define CIDLB_HEALTH_PROBE_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "health/probe.h"

/* Opens a new port, also where `port` is open. What comes to it goes to the probe's kind. Returns 0 or -errno. */
int probe_port_open(struct probe_port *port, struct probe *probe);
void probe_port_close(struct probe_port *port);

/* Returns 0 or -errno. A first refusal may be the ICMP error of something sent earlier. */
int probe_port_send(const struct probe_port *port, const uint8_t *data, size_t len);

static inline bool probe_port_is_open(const struct probe_port *port)
{
	return port->probe;
}

#endif
