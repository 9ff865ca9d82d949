/* A configuration as a list of what is set: every option that a file can set, by its name there, with its value as
 * text. What is left open in the file has the value that was found for it.
 *
 * For each thing of the configuration that can come and go: the file itself, a listener, a pool, a backend. Things of
 * one kind have the same options in the same order. */
#ifndef CIDLB_CONF_SETTINGS_H
#define CIDLB_CONF_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"

enum { SETTINGS_MAX = 48 /* options of one thing */ };

struct setting {
	const char *option; /* "nat.idle_s" */
	char *value;        /* "": it is not set, or does not apply; of a secret: what differs if it does */
	bool secret;
};

/* To be freed by settings_free(). */
struct settings {
	struct setting of[SETTINGS_MAX];
	size_t count;
	bool no_memory; /* some value is missing */
};

void settings_of_file(struct settings *out, const struct conf *conf);
void settings_of_listener(struct settings *out, const struct conf *conf, const struct conf_listener *listener);
void settings_of_pool(struct settings *out, const struct conf_pool *pool);
void settings_of_backend(struct settings *out, const struct conf_backend *backend);
void settings_free(struct settings *settings);

#endif
