/* The host, which a configuration depends on besides its own text. The second pass of conf_parse() asks for it once the
 * text is read. Tests give another host. Control thread. */
#ifndef CIDLB_CONF_MACHINE_H
#define CIDLB_CONF_MACHINE_H

#include <stdint.h>

#include "common/addr.h"

struct conf_machine {
	unsigned cpus;        /* that the process may run on, >= 1 */
	uint64_t descriptors; /* that it may have at most, the hard limit; UINT64_MAX: there is none */

	/* Finds the address that this host would send to `to` from. Its port is 0. Returns 0, or -errno: there is no
	 * route. */
	int (*source_towards)(const struct addr *to, struct addr *out);
};

/* This host, and the limits of this process. */
struct conf_machine conf_machine_here(void);

#endif
