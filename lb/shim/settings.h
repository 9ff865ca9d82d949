/* What the environment tells the shim:
 *
 *   CIDLB_SHIM_PORTS=5684,5683                    UDP ports whose sockets are tunnelled
 *   CIDLB_SHIM_KEY=@FILE                          a line ID:HEX per key, 16 octets each, of all pools
 *   CIDLB_SHIM_NODES=10.0.0.2:7200-7203,[V6]:PORT where cidlb's nodes send from
 *
 * Read once, while the process starts. Then it does not change, and any thread may read it.
 */
#ifndef CIDLB_SHIM_SETTINGS_H
#define CIDLB_SHIM_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/proxy2.h"

enum { SETTINGS_PORTS = 16, SETTINGS_NODES = 64, SETTINGS_PROBLEM_OCTETS = 256 };

struct settings_node {
	struct addr first; /* its address and first port */
	uint16_t last_port;
};

struct settings {
	uint16_t ports[SETTINGS_PORTS];
	size_t port_count; /* 0: nothing is tunnelled */
	struct settings_node nodes[SETTINGS_NODES];
	size_t node_count;
	struct proxy2_keys keys;
	/* Why a port that is to be tunnelled cannot be served; "": no problem. */
	char problem[SETTINGS_PROBLEM_OCTETS];
	bool any_port; /* the ports are unreadable: no UDP port may be served */
};

/* The texts are those of the environment; NULL: not set. What is wrong is written to ->problem. */
void settings_read(struct settings *out, const char *ports, const char *key, const char *nodes);

/* The index of a port in ->ports, or -1. */
int settings_port(const struct settings *settings, uint16_t port);

/* The index of a node in ->nodes, or -1: `outer` is none. */
int settings_node(const struct settings *settings, const struct addr *outer);

#endif
