/* Which rows of `backends` are shown, and in which order. */
#ifndef CIDLB_CTL_LIVE_SORT_H
#define CIDLB_CTL_LIVE_SORT_H

#include <jansson.h>

#include "ctl/options.h"

/* CTL_USAGE: options->sort is no key of `flows` or `backends`, and that was said. */
enum ctl_exit live_sort_check(const char *command, const struct ctl_options *options);

/* Leaves in the answer to `backends` what options->down and ->sort say. */
void live_sort_backends(json_t *answer, const struct ctl_options *options);

#endif
