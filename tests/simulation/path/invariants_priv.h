/* What invariants_limits.c and invariants_proof.c share. */
#ifndef CIDLB_TESTS_SIMULATION_PATH_INVARIANTS_PRIV_H
#define CIDLB_TESTS_SIMULATION_PATH_INVARIANTS_PRIV_H

#include "tests/simulation/path/invariants.h"

/* What a downlink shows of a handshake to whoever passes it on. */
struct said {
	bool hello, hello_begins, hello_ends, protected;
	bool cookie_shown, retry;
	uint64_t cookie;
};

struct said said_by(const struct world *world, const struct datagram *datagram, const struct session *session);

/* Something of the session passes, up or down. */
void proof_touch(struct world *world, struct proof *proof);
/* A downlink goes to where the handshake of the session in `slot` is. */
void proof_downlink(struct world *world, int slot, int pool, const struct said *said);
/* A downlink that is no part of that handshake, but may look so. */
void proof_beside(struct proof *proof, const struct said *said);
/* A downlink of the session's endpoint has passed. */
void proof_check(struct world *world, const struct session *session, const struct datagram *datagram);

#endif
