/* Ketama: R. Jones, "libketama: a consistent hashing algo for memcache clients", Last.fm, 2007 (libketama/ketama.c).
 * nginx
 * ("hash ... consistent") and Envoy ("ring hash") have it in their ways. Pure.
 *
 * A server is on a ring of 2^32 at 160 points: four of each MD5 of "NAME-0" .. "NAME-39", little endian. A key belongs
 * to the first point at or after its hash. With weights a server has 4 * floor(40 * servers * its share of all weights)
 * points. That is computed in integers here. In the original, rounding to float costs some servers four points.
 */
#ifndef CIDLB_BENCH_CHURN_KETAMA_H
#define CIDLB_BENCH_CHURN_KETAMA_H

#include "bench/programs/churn/member.h"

enum {
	KETAMA_DIGESTS = 40,      /* of a server with average weight; four points of each */
	KETAMA_DIGESTS_MOST = 60, /* others have no more here: half above the average */
};

struct ketama;

/* Makes the points that these members may ever have, in order. The arcs between them are the slots. Returns NULL if
 * there is no memory. */
struct ketama *ketama_new(const struct member *members, size_t count);
void ketama_free(struct ketama *ketama);

/* Valid as long as `ketama`. */
struct table ketama_table(const struct ketama *ketama);

#endif
