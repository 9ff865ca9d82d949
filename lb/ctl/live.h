/* What a running cidlb is asked through its socket: lines of JSON. */
#ifndef CIDLB_CTL_LIVE_H
#define CIDLB_CTL_LIVE_H

#include <stdio.h>

#include <jansson.h>

/* A stream to the running cidlb that waits at most `patience_s` for anything; NULL: said why not. */
FILE *live_dial(const char *path, unsigned patience_s);

/* One line there, one back. NULL: said why. */
json_t *live_ask(FILE *stream, const json_t *request);

/* A further line. NULL: said why. */
json_t *live_read(FILE *stream);

void live_print_refusal(const json_t *answer);

#endif
