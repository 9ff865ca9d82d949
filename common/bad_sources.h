/* The sources at which nobody can be answered. A datagram from there is a loop, or forged.
 *
 * It is of no host: port 0; a multicast, broadcast or unspecified address. Of 0.0.0.0/8 only 0.0.0.0 is: since
 * Linux 5.3 the others are addresses like any. Or it is of cidlb or of a server: what is sent there comes back, and
 * goes round for as long as it is answered.
 *
 * Owner: the snapshot, for as long as it lives. It never changes after bad_sources_new(), but for `open` of a single
 * address, which workers set. Any thread may ask.
 */
#ifndef CIDLB_BAD_SOURCES_H
#define CIDLB_BAD_SOURCES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"

/* A set of ports, a bit for each. */
enum { PORT_SET_WORDS = (UINT16_MAX + 1) / 64 };

struct port_set {
	_Atomic uint64_t words[PORT_SET_WORDS];
};

static inline void port_set_add(struct port_set *set, uint16_t port)
{
	atomic_fetch_or_explicit(&set->words[port / 64], UINT64_C(1) << port % 64, memory_order_relaxed);
}

static inline bool port_set_has(const struct port_set *set, uint16_t port)
{
	return atomic_load_explicit(&set->words[port / 64], memory_order_relaxed) >> port % 64 & 1;
}

/* All addresses that begin like `addr`, with its port. */
struct bad_prefix {
	struct addr addr; /* port 0: with any */
	uint8_t bits;     /* of the address family: 0..32 or 0..128 */
};

/* An address, with the ports that are in the set at the time of asking. */
struct bad_single {
	struct addr addr;            /* its port is unused */
	const struct port_set *open; /* must outlive the bad_sources */
};

struct bad_sources_spec {
	const struct addr *pairs; /* may repeat */
	size_t pair_count;
	const struct bad_prefix *prefixes;
	size_t prefix_count;
	const struct bad_single *singles;
	size_t single_count;
};

struct bad_sources;

/* Those of no host are always among them. NULL: out of memory. */
struct bad_sources *bad_sources_new(const struct bad_sources_spec *spec);
void bad_sources_free(struct bad_sources *sources);

/* What bad sources begin with, and their ports. Nearly every other source is told from them by these few octets. */
enum { BAD_BEGIN_V4 = 0, BAD_BEGIN_V6 = 256 };

struct bad_marks {
	/* By the first octet of an IPv4 address; from BAD_BEGIN_V6 on by that of an IPv6 address, unless that begins
	 * with eight octets of 0 as well. */
	bool begins[2 * 256];
	uint64_t ports[PORT_SET_WORDS];
};

/* Marks those of no host. */
extern const struct bad_marks bad_marks_always;

/* Shows `visit` what the specification had: each pair and each single address as a prefix that is as long as its
 * address, the latter with port 0. Not those of no host. */
typedef void bad_sources_visit(void *ctx, const struct bad_prefix *prefix);
void bad_sources_each(const struct bad_sources *sources, bad_sources_visit *visit, void *ctx);

const struct bad_marks *bad_sources_marks(const struct bad_sources *sources);

/* For bad_sources_have(). `sources` NULL: only those of no host. */
bool bad_sources_have_marked(const struct bad_sources *sources, const struct addr *source);

/* `marks` are those of `sources`. */
static inline bool bad_sources_have(const struct bad_sources *sources, const struct bad_marks *marks,
				    const struct addr *source)
{
	uint64_t high;

	memcpy(&high, source->ip, sizeof high);
	const size_t begin = high ? (size_t)source->ip[0] + BAD_BEGIN_V6 : (size_t)source->ip[12] + BAD_BEGIN_V4;
	const uint64_t marked = marks->begins[begin] | (marks->ports[source->port / 64] >> source->port % 64 & 1);

	return __builtin_expect(marked != 0, false) && bad_sources_have_marked(sources, source);
}

#endif
