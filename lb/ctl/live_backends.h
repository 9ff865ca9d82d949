/* The answer to `backends`: what each does, and in words what is not as it should be. */
#ifndef CIDLB_CTL_LIVE_BACKENDS_H
#define CIDLB_CTL_LIVE_BACKENDS_H

#include <stdio.h>

#include <jansson.h>

void live_print_backends(const json_t *answer, FILE *out);

#endif
