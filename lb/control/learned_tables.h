/* The tables of what pools learn: CIDs, in pools of scheme "learned", and what devices without CIDs resume, in all DTLS
 * pools with max_resumable. Control thread.
 *
 * A table is in a file beside the state file (learned_file.h), or in memory if there is no state file or that cannot
 * be. It stays with its pool over reloads, and so does its size: another is taken on at the next start.
 */
#ifndef CIDLB_CONTROL_LEARNED_TABLES_H
#define CIDLB_CONTROL_LEARNED_TABLES_H

#include "common/learned.h"
#include "conf/conf.h"
#include "control/learned_file.h"
#include "control/table_spec.h"

struct control;
struct learned_table;

/* Gives each pool that learns its tables: spec->learned. -ENOMEM: what there is stays. */
int learned_tables_give(struct control *control, const struct conf *conf, struct table_spec *spec);

/* How much a table has room for. */
uint32_t learned_table_room(const struct learned_table *table);

/* No worker reads it any more. NULL is fine. */
void learned_table_free(struct learned_table *table);

/* Once a second: tells what runs short, and gives back lengths that no CID has any more. */
void learned_tables_watch(struct control *control);

#endif
