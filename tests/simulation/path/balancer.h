/* The code under test, put together as the control thread does it, and what its one worker sends through. */
#ifndef CIDLB_TESTS_SIMULATION_PATH_BALANCER_H
#define CIDLB_TESTS_SIMULATION_PATH_BALANCER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/limit.h"
#include "conf/conf.h"
#include "control/table_spec.h"
#include "control/uids.h"
#include "flows/flows.h"
#include "path/path.h"
#include "path/service_addrs.h"
#include "path/table.h"
#include "tests/simulation/path/network.h"

struct world;

/* POOL_HOME: contest = "home", and in some worlds endpoint = "handshake". POOL_LEARNED: its CIDs say nothing. */
enum { POOL_FOLLOW, POOL_BACKEND, POOL_HASH, POOL_PLAIN, POOL_HOME, POOL_LEARNED, POOLS };
enum { LISTENERS = 7, POOL_MEMBERS = 5, MEMBERS = POOLS * POOL_MEMBERS };

/* Handles: a listener's number, an endpoint's port. */
enum { BALANCER_LISTENERS = 1000, BALANCER_ENDPOINTS = 100000 };

/* One backend as it is configured. */
struct member {
	bool configured;
	enum backend_health health;
	enum backend_admin admin;
	uint16_t uid;
	/* Number of the server id that it owns: its own, or that of a pool member which owns this one's. */
	int id;
	struct addr addr;
};

struct balancer {
	bool running;
	struct conf conf;
	struct conf_pool pools[POOLS];
	struct conf_backend backends[POOLS][POOL_MEMBERS];
	struct conf_listener listeners[LISTENERS];
	struct member members[MEMBERS]; /* POOL_MEMBERS for each pool */
	uint16_t pool_uids[POOLS], listener_uids[LISTENERS];
	struct uids *listener_names, *pool_names, *backend_names;
	struct publisher publisher;
	struct flows *flows;
	struct service_addrs *service_addrs;
	struct limit *limit;
	struct allowances *allowances;
	struct handshakes *handshakes;
	struct learned learned; /* as in a file: a restart finds it again */
	struct path *path;
};

int balancer_pool(int service);
/* The service of a listener at a local address (NULL: its own address). NOBODY: there is none. */
int balancer_service(int listener, const uint8_t *local);
int balancer_member(const struct balancer *balancer, const struct addr *addr); /* NOBODY: no backend's address */
/* What servers of the pool know of their CIDs. That of POOL_LEARNED the balancer is not told. */
const struct cid_layout *balancer_layout(int pool);
struct server_id balancer_server_id(int number);
int balancer_owner(const struct balancer *balancer, int number); /* the member */
/* True if both are configured in one pool, with ids, and endpoints serve both. */
bool balancer_can_swap(const struct balancer *balancer, int member, int other);
/* The member's name leads somewhere else. */
void balancer_move(struct balancer *balancer, int member);
bool balancer_accepts(const struct member *member);
/* True if datagrams that only a flow leads there go on doing so. */
bool balancer_keeps(const struct member *member);
/* True if CID datagrams get there. */
bool balancer_serves(const struct balancer *balancer, int member);

void balancer_begin(struct world *world);
void balancer_end(struct world *world);

/* Stop kills the balancer. Start brings it back with nothing but its configuration. */
void balancer_stop(struct world *world);
void balancer_start(struct world *world);

/* Puts in force what `members` says. */
void balancer_reload(struct world *world);

void balancer_sweep(struct world *world);

/* Receives a batch of datagrams, linked by `next` from `first`, all of one listener or endpoint port. */
void balancer_receive(struct world *world, int first);

#endif
