/* What people wish for a backend by command: its administrative state and its weight. Control thread. */
#ifndef CIDLB_CONTROL_WISHES_H
#define CIDLB_CONTROL_WISHES_H

#include <stdint.h>

#include "common/pool.h"

struct control;

/* For a running backend, by its stable number. Once this returns, the wish is in force and kept over restarts. -ENOENT:
 * the backend does not run. -ENOMEM: the wish of before holds. */
int wishes_set_admin(struct control *control, uint16_t uid, enum backend_admin admin);
int wishes_set_weight(struct control *control, uint16_t uid, uint16_t weight); /* 0..256 */

#endif
