/* What forger.c and forger_makes.c share. */
#ifndef CIDLB_TESTS_SIMULATION_PATH_FORGER_PRIV_H
#define CIDLB_TESTS_SIMULATION_PATH_FORGER_PRIV_H

#include "tests/simulation/path/forger.h"

void forge_anything(struct world *world);
void forge_cids(struct world *world);
void forge_handshake(struct world *world);
void forge_record(struct world *world, int source);
void forge_replay(struct world *world, int source);
void forge_flight(struct world *world, int source);
void forge_beside(struct world *world, int source);
void forge_clear(struct world *world);
void forge_hello(struct world *world);
void forge_service(struct world *world);
void forge_bad(struct world *world);
void forge_reply(struct world *world);
int forger_any_source(struct world *world);
unsigned forger_any_of(struct world *world, unsigned count);
void forger_add(struct world *world, struct wire *wire, const struct wire_cid *cid, bool v13, size_t least);
void forger_send(struct world *world, const struct wire *wire, int source, int service);
uint64_t forger_random(int address);
bool forger_has_seen(const struct world *world);

#endif
