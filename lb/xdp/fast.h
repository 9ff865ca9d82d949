/* The fast path at work: the program in the kernel (xdp/program.h), attached to interfaces, with the published table
 * and the network in its maps. Control thread, but for the cache of CIDs.
 *
 * What the program forwards no worker sees. So what follows from datagrams follows from the program's counters here,
 * once a second: when a CID last led to a backend, and which version of the tunnel's header it reads.
 *
 * Whatever is not to be had, its log line says so, and the sockets do it all.
 */
#ifndef CIDLB_XDP_FAST_H
#define CIDLB_XDP_FAST_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/stats.h"
#include "conf/conf.h"
#include "path/path.h"
#include "path/table.h"
#include "path/worker.h"
#include "xdp/fast_map.h"

struct fast;

/* How the program is on an interface. */
enum fast_mode { FAST_NONE, FAST_NATIVE, FAST_GENERIC };

enum { FAST_REASON_OCTETS = 160 };

struct fast_place {
	char name[IF_NAMESIZE];
	enum fast_mode mode;
	char reason[FAST_REASON_OCTETS]; /* FAST_NONE: why */
};

/* Of an enum fast_passed: "frame", … */
const char *fast_passed_name(enum fast_passed why);

/* "none", "native", "generic". */
const char *fast_mode_name(enum fast_mode mode);

/* What holds the program of a cidlb on an interface, for the next one. */
struct fast_link {
	char name[IF_NAMESIZE]; /* of the interface */
	enum fast_mode mode;
	int fd; /* -1: it is somebody else's by now */
};

struct fast_links {
	struct fast_link at[CONF_MAX_INTERFACES];
	size_t count;
};

/* Loads the program and attaches it to the interfaces of `conf`, or takes over the links that the cidlb before has
 * left: in the bpf file system, or in `left`. While cidlb is root and its threads have not begun. The workers are lent
 * the cache of CIDs, and outlive it. 0, also if there is no fast path to be had, which is logged; or -ENOMEM. */
int fast_new(struct fast **out, const struct conf *conf, struct worker *const *workers, unsigned worker_count,
	     struct fast_links *left);

/* Takes the program of the cidlb before from where nobody has taken over its link. */
void fast_links_end(struct fast_links *left);

/* The links, whose descriptors end with `fast`. Whoever has been given them by then keeps the program where it is. None
 * with linger_s = 0. */
void fast_links_get(const struct fast *fast, struct fast_links *out);

/* Detaches the program. The workers have no thread any more. NULL is fine. */
void fast_free(struct fast *fast);

/* The interfaces of the configuration. */
const struct fast_place *fast_places(const struct fast *fast, size_t *count);

/* A table is published, and no worker reads another one. It stays until the next call. */
void fast_follow(struct fast *fast, const struct table *table);

/* Several times a second. */
void fast_tick(struct fast *fast);

/* Why everything is passed up. */
enum fast_rest {
	FAST_REST_TRACE = 1,         /* a trace wants to see it */
	FAST_REST_CONFIGURATION = 2, /* the running configuration has no fast path */
	FAST_REST_NETWORK = 4,       /* the kernel does not tell its routes */
};

/* Has the program pass up everything, and do its work again, for this reason. */
void fast_rest(struct fast *fast, enum fast_rest why);
void fast_work(struct fast *fast, enum fast_rest why);

/* The reasons for which it rests now, of enum fast_rest. */
unsigned fast_rests(const struct fast *fast);

/* What it has counted since it was loaded, but for what was forgotten. */
void fast_look(struct fast *fast, struct fast_counts *out);

/* Adds that to the counters of the workers. What was passed up is not in it: they have counted it. */
void fast_sum(struct fast *fast, struct stats *sum);

/* Numbers that something bears, by uid. */
struct fast_numbers {
	const bool *listeners, *pools, *backends;
};

/* The others are taken back: what was counted under them was another's. */
void fast_forget(struct fast *fast, const struct fast_numbers *used);

#endif
