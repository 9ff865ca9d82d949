/* Small stable numbers for names. A pool, a backend, or a listener by its address keeps its number through reloads and
 * removal. So counters, flows and health stay with it, until numbers run out and are taken back. Control thread
 * only. */
#ifndef CIDLB_CONTROL_UIDS_H
#define CIDLB_CONTROL_UIDS_H

#include <stdbool.h>
#include <stdint.h>

struct uids;

#define UIDS_FULL UINT16_MAX

/* For at most `capacity` names. NULL: out of memory. */
struct uids *uids_new(uint16_t capacity);
void uids_free(struct uids *uids);

/* The number of `name` within `scope` (a pool's number for backends, else 0). It is given out on first use. UIDS_FULL:
 * there is no number or no memory left. */
uint16_t uids_give(struct uids *uids, uint16_t scope, const char *name);

/* The scope of a number. UIDS_FULL: no name has it. */
uint16_t uids_scope(const struct uids *uids, uint16_t number);

/* Takes back every number n for which used[n] is false, and forgets its name: another will get it. `used` has an
 * element for every number of the capacity. The caller makes sure that nothing has such a number any more, not as a
 * scope either. It also clears what was counted under the number. */
void uids_take_back(struct uids *uids, const bool *used);

#endif
