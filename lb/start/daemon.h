/* cidlb at work. Only this file knows what runs, and in which order it starts and stops. */
#ifndef CIDLB_START_DAEMON_H
#define CIDLB_START_DAEMON_H

#include "conf/conf.h"

enum daemon_sandbox { DAEMON_SANDBOXED, DAEMON_OPEN /* keeps core dumps and all system calls */ };

/* Runs cidlb with `conf` and takes ownership of it. Binds, gives up root, starts workers, serves until SIGTERM or
 * SIGINT. SIGHUP reads conf->file again. Returns 0 after a clean stop, or -errno if it could not start; the reason is
 * logged.
 */
int daemon_run(struct conf *conf, enum daemon_sandbox sandbox);

#endif
