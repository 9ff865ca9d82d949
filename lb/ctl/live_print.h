/* How the answers of a running cidlb are shown to a reader. */
#ifndef CIDLB_CTL_LIVE_PRINT_H
#define CIDLB_CTL_LIVE_PRINT_H

#include <stdio.h>

#include <jansson.h>

/* The answer to `command`, which was not refused. */
void live_print(const char *command, const json_t *answer, FILE *out);

#endif
