/* What devices miss and servers see, over all worlds, to be compared with other rules: nothing here ends a world.
 * Worlds without loss, refused sends and small tables are counted. */
#ifndef CIDLB_TESTS_SIMULATION_PATH_TALLY_H
#define CIDLB_TESTS_SIMULATION_PATH_TALLY_H

#include <stdbool.h>

#include "tests/simulation/path/backend.h"
#include "tests/simulation/path/network.h"

struct world;
struct device;

/* The backend's downlink has passed the balancer, or not. */
void tally_downlink(struct world *world, const struct session *session, const struct datagram *datagram);
void tally_change(struct world *world, const struct session *session); /* the backend moves the session */
void tally_move(struct world *world, const struct device *device);
void tally_push(struct world *world, const struct session *session, bool acknowledged);
/* A server did not speak, since the session is not where it registered. */
void tally_unregistered(struct world *world, const struct session *session);
/* An exchange ends: answered, or given up after the tries that RFC 7252 gives it. */
void tally_exchange(struct world *world, const struct device *device, bool answered);

void tally_print(void);
/* NULL, or which threshold is passed. Only for many seeds. */
const char *tally_judge(void);

#endif
