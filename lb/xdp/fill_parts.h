/* The parts of fast_fill(). For the files of xdp/ only. */
#ifndef CIDLB_XDP_FILL_PARTS_H
#define CIDLB_XDP_FILL_PARTS_H

#include "common/proxy2_memo.h"
#include "path/forward.h"
#include "xdp/fill.h"

/* True: what has a CID is forwarded by the program. Of other pools it only drops what is no DTLS. A header that asks
 * for direct answers is written by the C core alone. */
static inline bool fast_handles(const struct table_pool *pool)
{
	return !pool->only_sockets && ((pool->forwarder == &forward_tunnel && !pool->tunnel_direct) ||
				       pool->forwarder == &forward_nat_stateless || pool->forwarder == &forward_dsr);
}

/* Mode dsr: where what is for the backend at this index of its pool goes. */
void fast_fill_dsr(struct fast_backend *row, const struct fast_fill *fill, size_t pool, size_t backend);

/* What waits at an address of ours. False: there is no row left for it. */
bool fast_fill_addr(struct fast_table *out, const struct addr *at, enum fast_at what, uint8_t index);

/* Sources that are passed up. Both may be NULL. */
void fast_fill_sources(struct fast_table *out, const struct bad_sources *sources, const struct host_addrs *host);

/* Listeners and tunnels. whole[i]: every server id of the pool (by index) has a row. Returns how many found no
 * place. */
unsigned fast_fill_services(struct fast_table *out, const struct fast_fill *fill, const bool whole[static STATS_POOLS]);

#endif
