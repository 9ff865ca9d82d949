/* What differs between two configurations, in the words of a file. */
#ifndef CIDLB_CONF_DIFFERENCE_H
#define CIDLB_CONF_DIFFERENCE_H

#include "conf/conf.h"

/* Shows `on_line` each difference as a line of text, those of the file first:
 *
 *   workers 2->4         an option of the file
 *   +listener x          a listener that is new; - : that is gone
 *   pool p: nat.idle_s 300->600, nat.ports 40684-40684->40684-40691
 *   +p/c                 a backend that is new. Backends of a new pool, or of one that is gone, are not told of
 *   p/a: weight 100->90
 *
 * A value that is not set is "none". Of a secret it is only said that it is another one. The line is valid during the
 * call. Returns 0 or -ENOMEM: not all were shown. */
int conf_difference(const struct conf *before, const struct conf *now, void (*on_line)(void *ctx, const char *line),
		    void *ctx);

#endif
