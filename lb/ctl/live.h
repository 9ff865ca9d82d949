/* What a running cidlb is asked, and how its answers are shown to a reader. */
#ifndef CIDLB_CTL_LIVE_H
#define CIDLB_CTL_LIVE_H

#include <stdio.h>

#include <jansson.h>

/* The answer to `command`, which was not refused. */
void live_print(const char *command, const json_t *answer, FILE *out);

#endif
