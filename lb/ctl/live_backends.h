/* The answer to `backends` for a reader: a table with a row for each backend, and under a row notes in words on what is
 * not as it should be. */
#ifndef CIDLB_CTL_LIVE_BACKENDS_H
#define CIDLB_CTL_LIVE_BACKENDS_H

#include <stdio.h>

#include <jansson.h>

/* `answer` is that of a running cidlb, not refused, and is borrowed: {"backends": [{"pool", "name", "health", …}]}, as
 * admin/command_backends.c makes it. What is missing in it is an empty cell. */
void live_print_backends(const json_t *answer, FILE *out);

#endif
