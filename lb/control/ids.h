/* Who owns which server id: what backends claim (claims.h), and what is kept of it over restarts. Control thread. */
#ifndef CIDLB_CONTROL_IDS_H
#define CIDLB_CONTROL_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/lbcid.h"
#include "common/snapshot.h"
#include "control/table_spec.h"

struct control;

/* At the start: who owned the ids that have moved. 0 or -ENOMEM. */
int ids_recall(struct control *control, const struct conf *conf, const struct table_spec *spec);

/* Gives the spec of `conf` the server ids as they were claimed. 0 or -ENOMEM. */
int ids_to_spec(const struct control *control, const struct conf *conf, struct table_spec *spec);

/* Takes in what the backends of the running configuration claim now. *moved: an id went to another backend. 0 or
 * -ENOMEM. */
int ids_settle(struct control *control, bool *moved);

/* Ids of another length than those of `conf` are of nobody. */
void ids_drop(struct control *control, const struct conf *conf, const struct table_spec *spec);

/* Logs how many changes of ids went without a line of their own. Once per tick. */
void ids_tick(struct control *control);

/* How many ids of a pool (its stable number) are claimed by several. */
size_t ids_contested(const struct control *control, uint16_t pool);

/* In hex, small letters. Returns `hex`. */
const char *ids_format(const struct server_id *id, char hex[static 2 * LBCID_MAX_ID_OCTETS + 1]);

#endif
