/* What saved*.c share. */
#ifndef CIDLB_CONTROL_SAVED_PRIV_H
#define CIDLB_CONTROL_SAVED_PRIV_H

#include <jansson.h>

#include "control/saved.h"

enum { SAVED_ID_TEXT = 2 * LBCID_MAX_ID_OCTETS + 1 };

struct saved {
	char *file; /* NULL: nothing is kept */
	int unread; /* -errno: `file` could not be read, and is not replaced either */
	int failed; /* -errno of the last write, which is logged */
	bool due;   /* something waits for saved_save() */
	json_t *root;
	json_t *backends, *addresses, *ids; /* members of root */
};

/* The backend of that name. NULL: not in `conf`. */
const struct conf_backend *saved_find_backend(const struct conf *conf, const char *pool, const char *name);

/* saved_ids.c: writes the id in lower-case hex. Returns `hex`. */
const char *saved_id_format(const struct server_id *id, char hex[static SAVED_ID_TEXT]);
/* True if they are well-formed. NULL is. */
bool saved_ids_are_sound(json_t *pools);
void saved_ids_prune(struct saved *saved, const struct conf *conf);

#endif
