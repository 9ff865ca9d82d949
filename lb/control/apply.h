/* How a configuration becomes the running one, or changes nothing. Control thread.
 *
 * What a configuration changes is a table of parts. First all of them prepare, in order. Preparing does everything that
 * can fail, and nothing that shows. If a part refuses, those before it abandon in reverse order, and what ran goes on.
 * Otherwise all of them commit, in order. Committing cannot fail.
 *
 * The parts of control/ are rows of apply_parts.c. Other folders register theirs, so that control/ need not know them.
 * Those commit once the new table is published. Two parts come after them. Sockets that are opened beside those that
 * they replace take a part of what arrives at once. And the limits of the flow table are last: what memory they have
 * taken stays taken, so no other part may refuse after them.
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

enum { APPLY_REGISTERED = 8 /* at most */, APPLY_REFUSAL_OCTETS = 256 };

/* A configuration that is being applied. It lives as long as the call of apply_conf(). */
struct apply_step {
	struct conf *conf;
	struct table_spec spec;
	uint16_t listener_uids[CONF_MAX_LISTENERS]; /* by index in conf->listeners */
	struct backend_state *states;               /* by index in spec.backends */
	uint16_t *weights;                          /* configured or commanded, by index in spec.backends */
	struct sockets_change *sockets;
	struct table *table; /* the publisher's once it is published */
	char refusal[APPLY_REFUSAL_OCTETS];
};

/* Each function may be NULL if there is nothing to do. */
struct apply_part {
	const char *name;
	/* 0, or -errno: it refuses. Then it has logged why (apply_refuse…()) and left nothing behind. */
	int (*prepare)(void *ctx, struct apply_step *step);
	void (*commit)(void *ctx, struct apply_step *step);
	/* Undoes what prepare did. */
	void (*abandon)(void *ctx, struct apply_step *step);
	void *ctx;
};

/* `part` is copied. 0, or -ENOSPC: there are APPLY_REGISTERED already. */
int apply_register(struct control *control, const struct apply_part *part);

/* Makes `conf` the running configuration and takes ownership of it. -errno: nothing has changed, `conf` stays the
 * caller's, and the reason is logged. */
int apply_conf(struct control *control, struct conf *conf);

/* Why the last configuration was refused, in words. "": it was not. */
const char *apply_refusal(const struct control *control);

/* Note and log why a configuration is refused. Return `err`. */
int apply_refuse(struct apply_step *step, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* It cannot be bound. */
int apply_refuse_address(struct apply_step *step, int err, const char *option, const struct addr *addr);

/* Sets what new sessions and the table see of a backend. */
void apply_in_force(struct snapshot_backend *backend, const struct backend_state *state, uint16_t weight);

#endif
