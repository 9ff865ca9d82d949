/* Who owns which server id, by what the backends claim (claims.h). What of it is kept over restarts. Control thread. */
#ifndef CIDLB_CONTROL_IDS_H
#define CIDLB_CONTROL_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/lbcid.h"
#include "common/snapshot.h"
#include "control/table_spec.h"

struct control;

/* At the start: recalls who owned the ids that have moved. `spec` is that of `conf`. 0 or -ENOMEM. */
int ids_recall(struct control *control, const struct conf *conf, const struct table_spec *spec);

/* Gives the server ids in the spec of `conf` to their present owners. 0 or -ENOMEM. */
int ids_to_spec(const struct control *control, const struct conf *conf, struct table_spec *spec);

/* Whether a claim of this id by this backend counts (claims.h). */
bool ids_may_claim(const struct conf_backend *backend, const struct server_id *id);

/* Takes what the backends of the running configuration claim now. *moved says whether an id went to another backend. 0
 * or -ENOMEM. */
int ids_settle(struct control *control, bool *moved);

/* Forgets the owners of ids whose length is not that of `conf`. */
void ids_drop(struct control *control, const struct conf *conf, const struct table_spec *spec);

/* Logs how many changes of ids got no line of their own. Called once per tick. */
void ids_tick(struct control *control);

/* How many ids of a pool (its stable number) several backends claim. */
size_t ids_contested(const struct control *control, uint16_t pool);

/* Writes the id in lower-case hex. Returns `hex`. */
const char *ids_format(const struct server_id *id, char hex[static 2 * LBCID_MAX_ID_OCTETS + 1]);

#endif
