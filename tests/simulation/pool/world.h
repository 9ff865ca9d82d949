/* A pool as the control thread keeps it, without the thread. Probes end, backends speak of themselves, people give
 * commands, the configuration is read again, the balancer restarts. After each event, or a few, ids are settled and the
 * routing table is built. Both are held against a model that knows only what happened. There is one source of chance,
 * so one seed is one history. */
#ifndef CIDLB_TESTS_SIMULATION_POOL_WORLD_H
#define CIDLB_TESTS_SIMULATION_POOL_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/claims.h"
#include "common/pool.h"
#include "common/snapshot.h"
#include "conf/conf.h"
#include "control/table_spec.h"
#include "control/uids.h"
#include "tests/simulation/path/dice.h"

enum { MEMBERS = 12, IDS = 256, NO_ID = IDS, NO_MEMBER = MEMBERS };

/* What an answer means, as its composer knows it. */
struct pool_said {
	bool down;
	enum backend_admin admin;
	unsigned percent;
	bool claims[IDS];
	unsigned claim_count;
};

struct pool_member {
	/* in the configuration, or by command */
	bool configured;
	unsigned id; /* NO_ID: none */
	uint16_t weight;
	enum backend_admin wish;
	bool may_claim_any, may_claim[IDS]; /* besides its own */
	struct addr addr;
	bool well; /* most of its probes end well */

	struct server_id allowed[IDS]; /* may_claim, as what is tested is told */
	size_t allowed_count;
	struct backend_state state; /* what is tested */
	uint16_t uid;

	/* the model */
	bool decides; /* the next probe decides alone */
	unsigned oks, fails;
	enum backend_health probes;
	struct pool_said said;
};

/* Of one id. */
struct pool_id {
	uint16_t owner; /* uid */
	bool contested;
	unsigned moved, begun, settled;             /* reports of the last settling */
	uint16_t moved_from, moved_to, named_first; /* of the last report; named_first: of a contest */
};

/* The reports of a settling, in any order. */
struct pool_heard {
	unsigned count;
	uint64_t sum;
};

struct pool_world {
	struct dice dice;
	uint64_t step;
	bool traced;
	const char *broken; /* the first that did not hold */

	unsigned rise, fall, ids; /* ids in use: 0 .. ids-1 */
	enum all_down all_down;
	enum pool_affinity affinity;
	bool weighs; /* weights change, each time with a new slot table; only in few worlds, to be quick */
	struct pool_member members[MEMBERS];
	unsigned order[MEMBERS]; /* order of the configured ones in the file */
	unsigned count;

	struct claims claims;
	struct pool_id id[IDS], id_before[IDS];
	struct pool_heard heard;
	struct uids *pools, *backends;
	struct snapshot *snapshot;
};

extern const char *const pool_member_names[MEMBERS];
extern const struct cid_layout pool_layout;

/* Runs one seed. NULL, or the invariant that was broken in world->step. */
const char *pool_world_run(struct pool_world *world, uint64_t seed, uint64_t steps, bool traced);

/* After the last seed. */
void pool_world_end(void);

void pool_expect(struct pool_world *world, bool holds, const char *what);
void pool_trace(const struct pool_world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* By uid. NO_MEMBER: no configured one. */
unsigned pool_member_of(const struct pool_world *world, uint16_t uid);

struct server_id pool_id_of(unsigned number);

/* One event happens. */
void pool_happen(struct pool_world *world);

/* The balancer ends and begins again. Called between events, when all is published. */
void pool_restart(struct pool_world *world);

/* A new member begins at this index, in place of the one before. */
void pool_member_begin(struct pool_world *world, unsigned at);

/* Settles the ids in world->claims. */
void pool_settle(struct pool_world *world);

/* What must hold. */
void pool_check_probe(struct pool_world *world, const struct pool_member *member, enum backend_health before);
void pool_check_said(struct pool_world *world, const struct pool_member *member);
void pool_check_ids(struct pool_world *world);
void pool_check_restarted(struct pool_world *world, const struct pool_id before[static IDS]);
void pool_check_routes(struct pool_world *world);

#endif
