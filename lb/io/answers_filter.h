/* A classic BPF program for a packet socket (answers.h): it lets in whole UDP datagrams for this host, in IPv4, that
 * come from one of the given senders to the port given with it. Pure. */
#ifndef CIDLB_IO_ANSWERS_FILTER_H
#define CIDLB_IO_ANSWERS_FILTER_H

#include <linux/filter.h>
#include <stddef.h>

#include "common/addr.h"

enum {
	ANSWERS_PORTS = 1024,
	ANSWERS_FILTER_MAX = 4096, /* BPF_MAXINSNS */
};

/* From whom answers may come, and to which port. Both addresses are IPv4. */
struct answers_port {
	struct addr from, to;
};

/* For 0..ANSWERS_PORTS ports. Returns the length; 0: it would be longer than the kernel takes, which needs hundreds of
 * pairs of addresses. */
size_t answers_filter_make(struct sock_filter out[static ANSWERS_FILTER_MAX], const struct answers_port *ports,
			   size_t count);

#endif
