/* `cidlbctl route`: where one datagram would go, and why, off-line. */
#ifndef CIDLB_CTL_ROUTE_H
#define CIDLB_CTL_ROUTE_H

#include "ctl/options.h"

/* words[1]: the datagram in hex; "-": from stdin. */
enum ctl_exit route_run(char **words, const struct ctl_options *options);

#endif
