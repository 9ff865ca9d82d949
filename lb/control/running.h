/* The backends of the running configuration: what it says of each, and what is in force. Valid until the next reload.
 * Control thread. */
#ifndef CIDLB_CONTROL_RUNNING_H
#define CIDLB_CONTROL_RUNNING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"

struct control;

struct running_backend {
	size_t at; /* index in control->spec.backends */
	const struct conf_pool *pool;
	const struct conf_backend *conf;
	struct snapshot_backend *spec;
};

/* The backend at index `at`, which is less than spec.backend_count. */
struct running_backend running_backend_at(struct control *control, size_t at);

/* Finds a backend by its stable number. False: it is no longer configured. */
bool running_backend_find(struct control *control, uint16_t uid, struct running_backend *out);

#endif
