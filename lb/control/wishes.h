/* What people wish of a backend by command: its administrative state, and its weight. Control thread. */
#ifndef CIDLB_CONTROL_WISHES_H
#define CIDLB_CONTROL_WISHES_H

#include <stdint.h>

#include "common/pool.h"

struct control;

/* Of a backend that runs, by its stable number: in force, and kept over restarts, once this returns. -ENOENT: it
 * does not; -ENOMEM: what was wished before holds. */
int wishes_set_admin(struct control *control, uint16_t uid, enum backend_admin admin);
int wishes_set_weight(struct control *control, uint16_t uid, uint16_t weight); /* 0..256 */

#endif
