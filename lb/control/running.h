/* The backends of the running configuration, with what the configuration says of each and what is in force. Control
 * thread; valid until the next reload. */
#ifndef CIDLB_CONTROL_RUNNING_H
#define CIDLB_CONTROL_RUNNING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"

struct control;

struct running_backend {
	size_t at; /* in control->spec.backends */
	const struct conf_pool *pool;
	const struct conf_backend *conf;
	struct snapshot_backend *spec;
};

/* `at` is less than spec.backend_count. */
struct running_backend running_backend_at(struct control *control, size_t at);

/* By stable number. False: it is configured no more. */
bool running_backend_find(struct control *control, uint16_t uid, struct running_backend *out);

#endif
