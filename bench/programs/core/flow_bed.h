/* The packet path of mode nat as it is after a while: a table of one pool, and proven flows. Only the kernel is
 * missing: what it is given to send is gone. */
#ifndef CIDLB_BENCH_CORE_FLOW_BED_H
#define CIDLB_BENCH_CORE_FLOW_BED_H

#include "bench/lib/dice.h"
#include "flows/flows.h"
#include "io/io.h"
#include "path/path.h"
#include "path/table.h"

enum { BED_OCTETS = 100, BED_SERVERS = 64 };

struct flow_bed {
	size_t flows; /* sessions, each with a flow by its CID */
	struct path *path;
	const struct table *table;
	const struct snapshot_pool *pool;
	uint16_t listener; /* stable number */
	struct io_datagram datagrams[IO_BATCH];
	uint8_t octets[IO_BATCH][128];
	struct dice dice;
};

/* The one with so many flows; the one before is gone. */
struct flow_bed *flow_bed_get(size_t flows);
void flow_bed_free(void);

/* Has a batch arrive: for each of its datagrams any session is drawn, and comes from the address that it always has. */
void flow_bed_receive(struct flow_bed *bed);

/* Datagrams that were to be sent since it was asked last. */
size_t flow_bed_sent(void);

#endif
