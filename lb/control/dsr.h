/* What mode dsr needs of the host: sockets that only root may open, and the next hop to each backend. Control thread.
 *
 * A frame for a neighbour bypasses the kernel's own table of neighbours. So nothing keeps an entry of it fresh but the
 * probes, and only where they go to the backend's own address. Where an entry is missing or old, an empty datagram to
 * the port discard (RFC 863) has the kernel ask anew. */
#ifndef CIDLB_CONTROL_DSR_H
#define CIDLB_CONTROL_DSR_H

#include "control/apply.h"
#include "control/table_spec.h"
#include "health/target.h"
#include "io/bare.h"

struct conf_pool;
struct control;

/* Where probes through the encapsulation leave for one backend, and answers come in. All zero: there is no way now. */
struct dsr_way {
	struct io_link link;
	uint8_t from[16];
	uint32_t iface;
};

/* All zero but for the descriptors, which are -1, at first. */
struct dsr {
	int bare[BARES];
	int answers; /* answers.h; lent to the probes */
	bool answers_tried;
	int asker[IO_FAMILIES];
	unsigned ticks;
	bool missing; /* some next hop, when it was last looked */
};

void dsr_open(struct dsr *dsr);
void dsr_close(struct dsr *dsr);

/* How probes get through the encapsulation to a backend of this pool, of the running configuration. Of another mode:
 * not at all. */
struct health_encap dsr_encap(const struct control *control, const struct conf_pool *pool,
			      const struct snapshot_backend *backend);

/* Opens the sockets for the pools of mode dsr, if there are any and they are not open. They stay open. As
 * apply_part.prepare. */
int dsr_prepare(void *ctx, struct apply_step *step);

/* Sets the next hops in `spec`, which is that of `conf`. Returns whether one is another than before. */
bool dsr_find(struct control *control, const struct conf *conf, struct table_spec *spec);

/* Looks whether they have changed. Every tick. */
void dsr_tick(struct control *control);

#endif
