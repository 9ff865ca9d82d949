/* Stable small numbers for names: a pool, a backend, or a listener by its address keeps its number through reloads and
 * removal, so that counters, flows and health stay with it, until numbers run out and are taken back. Control thread
 * only. */
#ifndef CIDLB_CONTROL_UIDS_H
#define CIDLB_CONTROL_UIDS_H

#include <stdbool.h>
#include <stdint.h>

struct uids;

#define UIDS_FULL UINT16_MAX

/* At most `capacity` names. NULL: out of memory. */
struct uids *uids_new(uint16_t capacity);
void uids_free(struct uids *uids);

/* The number of `name` within `scope` (a pool's number for backends, else 0), given out on first use. UIDS_FULL:
 * none left. */
uint16_t uids_give(struct uids *uids, uint16_t scope, const char *name);

/* Takes back every number n that is not `used[n]` (an element per number of the capacity), and forgets its name: it
 * will be another's. The caller has made sure that nothing bears it any more, no scope either, and clears what has
 * gathered under it. */
void uids_take_back(struct uids *uids, const bool *used);

#endif
