/* What saved*.c share. */
#ifndef CIDLB_CONTROL_SAVED_PRIV_H
#define CIDLB_CONTROL_SAVED_PRIV_H

#include <jansson.h>

#include "control/saved.h"

enum { SAVED_ID_TEXT = 2 * LBCID_MAX_ID_OCTETS + 1, SAVED_BOOT_OCTETS = 40 };

struct saved {
	char *file;      /* NULL: nothing is kept */
	int unread;      /* -errno: `file` could not be read, and is not replaced either */
	int failed;      /* -errno of the last write, which is logged */
	int64_t tried_s; /* monotonic: when that was */
	bool due;        /* something waits for saved_save() */
	struct saved_watched watched;
	char boot[SAVED_BOOT_OCTETS]; /* "": not known */
	json_t *root;
	json_t *backends, *addresses, *ids; /* members of root */
};

/* The backend of that name. NULL: not in `conf`. */
const struct conf_backend *saved_find_backend(const struct conf *conf, const char *pool, const char *name);

/* The parts of an entry on which it depends whether a command still holds, as json_equal() compares them. NULL: out of
 * memory. */
json_t *saved_entry_json(const struct conf_backend *backend);
/* The object under `name`, made if it is missing. NULL: out of memory. */
json_t *saved_member(json_t *object, const char *name);

/* saved_watch.c: the id of this boot; "": not known. */
void saved_boot_read(char boot[static SAVED_BOOT_OCTETS]);
/* Takes over what the file has. False: it makes no sense. */
bool saved_watches_load(struct saved *saved, const json_t *watched);

/* saved_ids.c: writes the id in lower-case hex. Returns `hex`. */
const char *saved_id_format(const struct server_id *id, char hex[static SAVED_ID_TEXT]);
/* True if they are well-formed. NULL is. */
bool saved_ids_are_sound(json_t *pools);
void saved_ids_prune(struct saved *saved, const struct conf *conf);

#endif
