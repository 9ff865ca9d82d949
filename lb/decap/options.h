/* The command line of cidlb-decap. */
#ifndef CIDLB_DECAP_OPTIONS_H
#define CIDLB_DECAP_OPTIONS_H

#include <stddef.h>

#include "common/addr.h"
#include "decap/decap_map.h"
#include "ebpf/ebpf.h"

struct decap_addrs {
	struct addr at[DECAP_ADDRESSES]; /* ports are 0 */
	size_t count;
};

struct decap_options {
	const char *interface;
	struct decap_addrs own, nodes;
	enum ebpf_attach attach;
	enum decap_task { DECAP_RUN, DECAP_HELP, DECAP_VERSION } task;
};

enum { DECAP_MISTAKE_OCTETS = 256 };

/* Reads the command line. -EINVAL: `mistake` says what is wrong with it. */
int decap_options_read(struct decap_options *out, int argc, char *const argv[],
		       char mistake[static DECAP_MISTAKE_OCTETS]);

extern const char decap_help[];

#endif
