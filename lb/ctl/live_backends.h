/* The answer to `backends` for a reader: a table with a row for each backend, and under a row notes in words on what is
 * not as it should be. */
#ifndef CIDLB_CTL_LIVE_BACKENDS_H
#define CIDLB_CTL_LIVE_BACKENDS_H

#include <stdio.h>

#include <jansson.h>

/* `answer` is that of a running cidlb, not refused, and is borrowed: {"backends": [{"pool", "name", "health", …}]}, as
 * admin/command_backends.c makes it. What is missing in it is an empty cell. */
enum { LIVE_NOTE_OCTETS = 256 };

/* May the server of this row of `backends`, which drains, be stopped? Returns `text`: in words. */
const char *live_drain_text(char text[static LIVE_NOTE_OCTETS], const json_t *backend);

void live_print_backends(const json_t *answer, FILE *out);

#endif
