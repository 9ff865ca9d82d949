/* What a start would refuse of a good configuration, as far as that can be told without a start. */
#ifndef CIDLB_START_CHECK_H
#define CIDLB_START_CHECK_H

#include <stddef.h>

#include "conf/conf.h"

/* Logs a plain line for each, in the words of the start: ports that this process may not bind, and an admin.socket that
 * cannot be made, and sockets of mode dsr that it may not open. Whether an address is taken is not asked, because cidlb
 * itself may have it. Returns their number. */
size_t check_start(const struct conf *conf);

#endif
