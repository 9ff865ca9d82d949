/* What people set by command, kept over restarts in one file (design, section 8: /var/lib/cidlb), and the last good address of each name,
 * for a start without DNS. Control thread only.
 *
 * An override belongs to the entry of its backend as it was in the configuration: where that has changed it is void.
 */
#ifndef CIDLB_OVERRIDES_H
#define CIDLB_OVERRIDES_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"

struct overrides;

/* Reads `file` (NULL: nothing is kept). One that is damaged is set aside as FILE.bad, with a log line; one that cannot be read or whose
 * directory cannot be written is logged, and cidlb does without. NULL: out of memory. */
struct overrides *overrides_new(const char *file);
void overrides_free(struct overrides *overrides);

/* What was set for this backend of this pool while its entry was the same. False: nothing. */
bool overrides_get(const struct overrides *overrides, const char *pool, const struct conf_backend *backend, enum backend_admin *admin,
		   uint16_t *weight);

/* The state and weight now in force by command; the same as in the entry: no override. Written at once, as a whole: 0 or -errno
 * (logged). */
int overrides_set(struct overrides *overrides, const char *pool, const struct conf_backend *backend, enum backend_admin admin,
		  uint16_t weight);

/* The last good address of a name. */
bool overrides_address(const struct overrides *overrides, const char *host, bool v6, uint8_t ip[static 16]);
int overrides_set_address(struct overrides *overrides, const char *host, bool v6, const uint8_t ip[static 16]);

/* Forgets backends and names that `conf` does not have; written if that changed anything. */
void overrides_prune(struct overrides *overrides, const struct conf *conf);

#endif
