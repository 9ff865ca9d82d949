/* What a running cidlb is asked through its socket: lines of JSON. */
#ifndef CIDLB_CTL_LIVE_H
#define CIDLB_CTL_LIVE_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

/* Opens a stream to the running cidlb that waits at most `patience_s` for anything. NULL: it was said why not. */
FILE *live_dial(const char *path, unsigned patience_s);

/* The same, and says nothing. */
FILE *live_try_dial(const char *path, unsigned patience_s);

/* Sends one line, and reads one. NULL: it was said why. */
json_t *live_ask(FILE *stream, const json_t *request);

/* Reads a further line. NULL: it was said why. */
json_t *live_read(FILE *stream);

void live_print_refusal(const json_t *answer);

/* Reads "60", "60s", "5m" or "26h". -1: it is anything else. */
long live_seconds(const char *text);

/* True: what was set is in force and should outlive a restart, but does not. It was said why. */
bool live_print_unkept(const json_t *answer);

#endif
