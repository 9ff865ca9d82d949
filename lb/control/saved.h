/* What is kept over restarts, in one file (`state_file`, by default in /var/lib/cidlb). Control thread only.
 *
 * It has what people set by command. It has the last good address of each name, for a start without DNS. It has who
 * owns the server ids that have moved: if a restart took them back, their sessions would be lost.
 *
 * What was set by command belongs to the entry of its backend in the configuration. It holds as long as the entry does
 * not change.
 *
 * The file is JSON; "ids", "left" and "watched" may be missing. The times in "watched" are monotonic seconds of that
 * boot:
 *   {"version": 1,
 *    "backends": {POOL: {BACKEND: {"entry": {"id": "02", "address": "h:5684", "weight": 100, "state": "ready"},
 *                                  "state": "drain", "weight": 100}}},
 *    "addresses": {HOST: {"v4": "192.0.2.1", "v6": "2001:db8::1"}},
 *    "ids": {POOL: {"01": BACKEND}},
 *    "left": true,
 *    "watched": {"boot": UUID, "at": 1234, "backends": {POOL: {BACKEND: {"entry": {…}, "since": 1200, "cid": 1220}}}}}
 */
#ifndef CIDLB_CONTROL_SAVED_H
#define CIDLB_CONTROL_SAVED_H

#include <stdbool.h>
#include <stdint.h>

#include <sys/types.h>

#include "conf/conf.h"
#include "health/resolve.h"

struct saved;

/* Prepares the directory of `file` for the user that cidlb will run as (state_file.h). Called as root, before there is
 * any thread. A failure is logged, as a warning for the usual file, else as an error. What is there is read all the
 * same, and writing is tried again. 0 or -errno. */
int saved_prepare(const char *file, uid_t uid, gid_t gid);

/* Reads `file` (NULL: nothing is kept). A damaged file is set aside as FILE.bad, with a log line. A file that cannot be
 * read, or cannot be set aside, is logged and left alone, and cidlb does without. NULL: out of memory. */
struct saved *saved_new(const char *file);
void saved_free(struct saved *saved);

/* What was set for this backend of this pool while its entry was the same as now. False: nothing. */
bool saved_get(const struct saved *saved, const char *pool, const struct conf_backend *backend,
	       enum backend_admin *admin, uint16_t *weight);

/* Sets the state and weight that a command has put in force. Nothing is kept if both are as in the entry. The file is
 * written at once, as a whole. -errno: they hold from now on, but outlive a restart only if the file can be written
 * later, which saved_save() tries. Of failures in a row the first is logged. */
int saved_set(struct saved *saved, const char *pool, const struct conf_backend *backend, enum backend_admin admin,
	      uint16_t weight);

/* The last good address of a name in the family that is asked for. False: there is none, or none that a backend can
 * have. */
bool saved_address(const struct saved *saved, const struct resolve_name *name, uint8_t ip[static 16]);
/* Sets it. It is written by the next saved_save(), because names come by the hundred. 0 or -ENOMEM. -EINVAL: it is not
 * of that family. */
int saved_set_address(struct saved *saved, const struct resolve_name *name, const uint8_t ip[static 16]);

/* One id and the name of its owner, which is borrowed. */
struct saved_id {
	struct server_id id;
	const char *backend;
};

/* Sets all ids of a pool whose owners differ from the configuration. Written by the next saved_save(). 0 or -ENOMEM. */
int saved_set_ids(struct saved *saved, const char *pool, const struct saved_id *ids, size_t count);
/* Calls `take` for each of them, in no order, until it returns other than 0. Returns that, or 0. */
int saved_each_id(const struct saved *saved, const char *pool, int (*take)(void *ctx, const struct saved_id *id),
		  void *ctx);

/* What is known of when a backend was last heard (drain.h). */
struct saved_watch {
	const struct conf_pool *pool;
	const struct conf_backend *backend;
	bool drains;     /* since `since_s` */
	int64_t since_s; /* monotonic */
	int64_t cid_s;   /* monotonic: when a CID last led there; 0: not known */
};

struct saved_watched {
	int64_t at_s; /* monotonic, of its boot: until when it was watched; 0: never */
	bool is_of_this_boot;
};

const struct saved_watched *saved_watched(const struct saved *saved);

/* Fills in what is known of watch->backend of watch->pool. False: nothing, or its entry was another one. */
bool saved_get_watch(const struct saved *saved, struct saved_watch *watch);

/* Sets all that is known, as of `at_s` of this boot. Written by the next saved_save() if it is new. Without memory it
 * stays as it was, and is tried again at the next tick. */
void saved_set_watches(struct saved *saved, const struct saved_watch *watches, size_t count, int64_t at_s);

/* Whether this node was told to leave (ready.h). */
bool saved_left(const struct saved *saved);
/* The file is written at once. Returns as saved_set() does. */
int saved_set_left(struct saved *saved, bool left);

/* Forgets the backends and names that `conf` does not have, and the ids of such pools and backends. Forgets what was
 * set for an entry that has changed. Written by the next saved_save(). */
void saved_prune(struct saved *saved, const struct conf *conf);

/* Writes what waits for it, and now and then what could not be written. Called once per tick. Returns as saved_set()
 * does. NULL: there is nothing to write. */
int saved_save(struct saved *saved);
/* The same at the end: there is no other time for what could not be written. */
int saved_save_last(struct saved *saved);

/* NULL: nothing is kept. */
const char *saved_file(const struct saved *saved);

/* Why the file does not have what was set: -errno of reading or writing it. 0: it has. */
int saved_fault(const struct saved *saved);

#endif
