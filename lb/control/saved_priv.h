/* What overrides*.c share. */
#ifndef CIDLB_OVERRIDES_PRIV_H
#define CIDLB_OVERRIDES_PRIV_H

#include <jansson.h>

#include "control/saved.h"

enum { OVERRIDES_ID_TEXT = 2 * LBCID_MAX_ID_OCTETS + 1 };

struct overrides {
	char *file; /* NULL: nothing is kept */
	int unread; /* why what is at `file` could not be read: it is not replaced either */
	int failed; /* the last write, logged */
	bool due;   /* something waits for overrides_save() */
	json_t *root;
	json_t *backends, *addresses, *ids; /* in root */
};

/* NULL: not in `conf`. */
const struct conf_backend *overrides_find_backend(const struct conf *conf, const char *pool, const char *name);

/* overrides_ids.c: in hex, small letters. */
const char *overrides_id_format(const struct server_id *id, char hex[static OVERRIDES_ID_TEXT]);
/* NULL is sound. */
bool overrides_ids_are_sound(json_t *pools);
void overrides_ids_prune(struct overrides *overrides, const struct conf *conf);

#endif
