/* The host, which a configuration depends on besides its own text. The second pass of conf_parse() asks for it once the
 * text is read. Tests give another host. Control thread. */
#ifndef CIDLB_CONF_MACHINE_H
#define CIDLB_CONF_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"

struct conf_machine {
	unsigned cpus;        /* that the process may run on, >= 1 */
	uint64_t descriptors; /* that it may have at most, the hard limit; UINT64_MAX: there is none */

	bool has_fast; /* cidlb was built with the fast path */

	/* Finds the address that this host would send to `to` from. Its port is 0. Returns 0, or -errno: there is no
	 * route. */
	int (*source_towards)(const struct addr *to, struct addr *out);

	/* True if it is an address of this host, of 127.0.0.0/8 or of a prefix that is routed to it. */
	bool (*is_here)(const struct addr *addr);

	/* True if all addresses of a prefix are, or if the kernel does not tell. */
	bool (*has_prefix)(const struct addr *first, uint8_t bits);

	/* The number of the interface with this name. 0: there is none. NULL: there is no interface at all. An
	 * address of a link needs it (common/addr.h), and the fast path; both in the first pass. */
	uint32_t (*iface)(const char *name);
};

/* This host, and the limits of this process. */
struct conf_machine conf_machine_here(void);

struct conf;
struct conf_report;

/* conf_load(), for another host perhaps. */
struct conf *conf_load_on(const struct conf_machine *machine, const char *file, struct conf_report *report);

#endif
