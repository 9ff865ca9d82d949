/* `cidlbctl device`: what is known of one device, in words. */
#ifndef CIDLB_CTL_DEVICE_H
#define CIDLB_CTL_DEVICE_H

#include <stdio.h>

#include <jansson.h>

#include "ctl/options.h"

/* words: "device", and an address or a CID in hex. */
enum ctl_exit device_run(char **words, const struct ctl_options *options);

/* `answer` is that of a running cidlb to `device`, not refused; `of` is what it was asked about. */
void device_print(const json_t *answer, const char *of, FILE *out);

#endif
