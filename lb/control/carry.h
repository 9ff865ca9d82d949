/* The flow table, from one cidlb to the next: how it is written and read. It is for the same host and boot, and for a
 * version that has the same flows in memory; anything else is refused, and the next cidlb begins without. Control
 * thread.
 */
#ifndef CIDLB_CONTROL_CARRY_H
#define CIDLB_CONTROL_CARRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct control;

/* Writes the flows into an empty file in memory. The workers have ended. 0 or -errno. */
int carry_save(struct control *control, int fd);

/* What came of a file. */
struct carry_outcome {
	uint64_t flows, restored; /* in it; made of them */
	const char *fault;        /* why it is refused; NULL: it is not */
};

/* Calls `visit` for each open socket of a single source address. */
void carry_ports_visit(struct control *control, void (*visit)(void *ctx, int fd), void *ctx);

/* Takes such a socket of the cidlb before. False: it is of no use, and closed. As carry_load(), and before it. */
bool carry_port_take(struct control *control, int fd);

/* Makes the flows that such a file has: those whose pool, server and listener are configured as they were, and whose
 * port is open, if it is one of a single source address. A configuration runs, and no worker does. -errno: the file is
 * refused, and nothing was made. */
int carry_load(struct control *control, int fd, struct carry_outcome *out);

#endif
