/* What people set by command, kept over restarts in one file (design, section 8: /var/lib/cidlb), the last good address
 * of each name, for a start without DNS, and who owns the server ids that have moved, whose sessions would be lost if a
 * restart took them back. Control thread only.
 *
 * An override belongs to the entry of its backend as it was in the configuration: where that has changed it is void.
 *
 * The file is JSON; "ids" may be missing:
 *   {"version": 1,
 *    "backends": {POOL: {BACKEND: {"entry": {"id": "02", "address": "h:5684", "weight": 100, "state": "ready"},
 *                                  "state": "drain", "weight": 100}}},
 *    "addresses": {HOST: {"v4": "192.0.2.1", "v6": "2001:db8::1"}},
 *    "ids": {POOL: {"01": BACKEND}}}
 */
#ifndef CIDLB_CONTROL_SAVED_H
#define CIDLB_CONTROL_SAVED_H

#include <stdbool.h>
#include <stdint.h>

#include <sys/types.h>

#include "conf/conf.h"

struct saved;

/* As root still, and before any thread: the place of `file`, for who runs later (state_file.h). What is missing is
 * logged, as a warning if it is the usual file, else as an error; cidlb does without. 0 or -errno. */
int saved_prepare(const char *file, uid_t uid, gid_t gid);

/* Reads `file` (NULL: nothing is kept). One that is damaged is set aside as FILE.bad, with a log line; one that cannot
 * be read is logged, left alone, and cidlb does without. NULL: out of memory. */
struct saved *saved_new(const char *file);
void saved_free(struct saved *saved);

/* What was set for this backend of this pool while its entry was the same. False: nothing. */
bool saved_get(const struct saved *saved, const char *pool, const struct conf_backend *backend,
	       enum backend_admin *admin, uint16_t *weight);

/* The state and weight now in force by command; the same as in the entry: no override. Written at once, as a whole.
 * -errno: known from now on, but not kept over a restart unless a later change can be written (the first failure of a
 * row is logged). */
int saved_set(struct saved *saved, const char *pool, const struct conf_backend *backend, enum backend_admin admin,
	      uint16_t weight);

/* The last good address of a name. False: none, or none that a backend can have. */
bool saved_address(const struct saved *saved, const char *host, bool v6, uint8_t ip[static 16]);
/* Written by the next saved_save(): names come by the hundred. 0 or -ENOMEM; -EINVAL: not of that family. */
int saved_set_address(struct saved *saved, const char *host, bool v6, const uint8_t ip[static 16]);

/* One id, and the name of its owner; borrowed. */
struct saved_id {
	struct server_id id;
	const char *backend;
};

/* The ids of a pool whose owners are other than in the configuration, all of them. Written by the next
 * saved_save(). 0 or -ENOMEM. */
int saved_set_ids(struct saved *saved, const char *pool, const struct saved_id *ids, size_t count);
/* Each of them, in no order, until `take` returns other than 0; that, or 0. */
int saved_each_id(const struct saved *saved, const char *pool, int (*take)(void *ctx, const struct saved_id *id),
		  void *ctx);

/* Forgets backends, names and ids of pools and backends that `conf` does not have, and overrides that are void. Written
 * by the next saved_save(). */
void saved_prune(struct saved *saved, const struct conf *conf);

/* Writes what waits for it; once per tick. As saved_set(). NULL has nothing. */
int saved_save(struct saved *saved);

#endif
