/* Mode nat without a table: which pools run this way, and what they have instead of flows (struct stateless).
 *
 * A pool runs this way whenever it can. It then has one listener, at one IPv4 address and port. Its nat.sources is one
 * IPv6 prefix of /64 or shorter, and its rebind is "backend". The endpoint of a device is the address and port of the
 * device behind that prefix (embed.h), at the first of nat.ports. So nothing has to be remembered, looked for or
 * shared, and no flood can fill anything.
 *
 * This has a price. It is not known which backend a device without CID has been with: it is the hash of its address
 * each time. Nor is it known whether an address is reachable. So whoever spoofs an address draws to it what a backend
 * answers. How much that is, is up to the backend's policy (cookies; RFC 9146, section 6). cidlb forwards each datagram
 * of the backend once. It copies none, and sends none of its own accord.
 */
#ifndef CIDLB_CONTROL_STATELESS_H
#define CIDLB_CONTROL_STATELESS_H

#include <stdint.h>

#include "conf/conf.h"
#include "path/table.h"

enum { STATELESS_TEXT_OCTETS = 256 };

/* The listener of a pool that runs without a table. NULL: the pool has one. `conf` is complete and good. */
const struct conf_listener *stateless_listener(const struct conf *conf, size_t pool);

/* For a pool that runs without a table. listener_uids: by index in conf->listeners. */
struct stateless stateless_make(const struct conf *conf, size_t pool, const uint16_t *listener_uids);

/* Describes in words how such a pool runs. Returns `text`. */
const char *stateless_explain(char text[static STATELESS_TEXT_OCTETS], const struct conf *conf, size_t pool);

#endif
