/* What a running cidlb is asked, and how its answers are shown to a reader. */
#ifndef CIDLB_CTL_LIVE_H
#define CIDLB_CTL_LIVE_H

#include <stdio.h>

#include <jansson.h>

#include "ctl/ctl.h"

/* A stream to the running cidlb that waits at most `patience_s` for anything; NULL: said why not. */
FILE *live_dial(const char *path, unsigned patience_s);

/* One line there, one back. NULL: said why. */
json_t *live_ask(FILE *stream, const json_t *request);
/* A further line. NULL: said why. */
json_t *live_read(FILE *stream);

void live_print_refusal(const json_t *answer);

/* The answer to `command`, which was not refused. */
void live_print(const char *command, const json_t *answer, FILE *out);

/* live_backends.c: what each does, and in words what is not as it should be. */
void live_print_backends(const json_t *answer, FILE *out);

#endif
