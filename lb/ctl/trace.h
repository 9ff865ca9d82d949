/* `cidlbctl trace`: the datagrams of one session, or of one address, as they pass a running cidlb. */
#ifndef CIDLB_CTL_TRACE_H
#define CIDLB_CTL_TRACE_H

#include "ctl/options.h"

/* Of the session options->cid, or of the address options->from. */
enum ctl_exit trace_run(char **words, const struct ctl_options *options);

#endif
