/* What a running cidlb is asked through its socket: lines of JSON. */
#ifndef CIDLB_CTL_LIVE_H
#define CIDLB_CTL_LIVE_H

#include <stdio.h>

#include <jansson.h>

/* Opens a stream to the running cidlb that waits at most `patience_s` for anything. NULL: it was said why not. */
FILE *live_dial(const char *path, unsigned patience_s);

/* Sends one line, and reads one. NULL: it was said why. */
json_t *live_ask(FILE *stream, const json_t *request);

/* Reads a further line. NULL: it was said why. */
json_t *live_read(FILE *stream);

void live_print_refusal(const json_t *answer);

#endif
