/* A configuration becomes the running one, or nothing changes. Control thread.
 *
 * What a configuration changes is a table of parts. All of them prepare, in order: everything that can fail, and
 * nothing that shows. If one refuses, those before it abandon in the reverse order, and what ran goes on. Else all of
 * them commit, in order, which cannot fail.
 *
 * Parts of control/ are rows of apply_parts.c. Those of other folders are registered by whoever owns them, so that
 * control/ need not know them: they prepare after the others, and commit once the new table is published.
 */
#ifndef CIDLB_CONTROL_APPLY_H
#define CIDLB_CONTROL_APPLY_H

#include <stddef.h>
#include <stdint.h>

#include "common/pool.h"
#include "conf/conf.h"
#include "control/table_spec.h"

struct control;
struct sockets_change;
struct table;

enum { APPLY_REGISTERED = 8 /* at most */ };

/* A configuration on its way. */
struct apply_step {
	struct conf *conf;
	struct table_spec spec;
	uint16_t listener_uids[CONF_MAX_LISTENERS]; /* by index in conf->listeners */
	struct backend_state *states;               /* by index in spec.backends */
	uint16_t *weights;                          /* configured or commanded, by index in spec.backends */
	struct sockets_change *sockets;
	struct table *table; /* the control's once it is published */
};

/* Each may be NULL: there is nothing to do. */
struct apply_part {
	const char *name;
	/* 0, or -errno: it has logged why (apply_refuse…()), and left nothing behind. */
	int (*prepare)(void *ctx, struct apply_step *step);
	void (*commit)(void *ctx, struct apply_step *step);
	/* Undoes a prepare. */
	void (*abandon)(void *ctx, struct apply_step *step);
	void *ctx;
};

/* `part` is copied. 0, or -ENOSPC: there are too many. */
int apply_register(struct control *control, const struct apply_part *part);

/* Makes `conf` what runs and takes it over, or changes nothing, logs why and returns -errno. */
int apply_conf(struct control *control, struct conf *conf);

/* Log why a configuration is refused. Return `err`. */
int apply_refuse(int err, const char *why);
int apply_refuse_address(int err, const struct addr *addr);

/* What new sessions and the table see of a backend. */
void apply_in_force(struct snapshot_backend *backend, const struct backend_state *state, uint16_t weight);

#endif
