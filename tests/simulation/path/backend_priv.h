/* What backend*.c share. */
#ifndef CIDLB_TESTS_SIMULATION_PATH_BACKEND_PRIV_H
#define CIDLB_TESTS_SIMULATION_PATH_BACKEND_PRIV_H

#include "tests/simulation/path/backend.h"

int backend_slot(const struct world *world, const struct session *session);

/* A datagram from `member` to `to`. `session` may be NULL. */
struct datagram *backend_reply(struct world *world, int member, const struct addr *to, const struct session *session);
void backend_send(struct world *world, struct datagram *datagram);

/* How the session's records down are protected. */
struct wire_seal backend_seal(const struct world *world, struct session *session, uint8_t type, uint8_t epoch);

/* Sends to where the session is. */
void backend_say(struct world *world, struct session *session, struct wire_message message, size_t octets);
/* Answers a request. */
void backend_answer(struct world *world, struct session *session, struct wire_message message);

void backend_take_hello(struct world *world, int member, const struct datagram *datagram, const struct wire_part *part);

#endif
