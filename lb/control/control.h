/* The control thread: signals, configuration, health, administration; the only writer of pool state. It builds the
 * table and publishes it.
 */
#ifndef CIDLB_CONTROL_H
#define CIDLB_CONTROL_H

#include <stdbool.h>

#include "conf/conf.h"

/* Runs cidlb with `conf`, which it takes over: binds, gives up root, starts workers, serves until SIGTERM or SIGINT.
 * SIGHUP reads conf->file again. sandbox: gives up more than root once it runs (sandbox.h). Returns 0 after a clean
 * stop, -1 if it could not start (the reason is logged). */
int control_run(struct conf *conf, bool sandbox);

#endif
