/* Mode nat without a table: which pools run this way, and what they have instead of flows (struct stateless).
 *
 * A pool runs this way by itself when it can: devices of one IPv4 address and port, nat.sources one IPv6 prefix of /64
 * or shorter, rebind = "backend". The endpoint of a device is its address and port behind that prefix (embed.h), at the
 * first of nat.ports: nothing has to be remembered, looked for or shared, and no flood can fill anything.
 *
 * The price: which backend a device without CID has been with is not known (it is the hash of its address each time),
 * nor whether an address is reachable. So whoever spoofs an address draws to it what a backend answers, and how much
 * that is, is the backend's policy (cookies; RFC 9146, section 6). Each of its datagrams goes on once: cidlb copies
 * none, and sends none of its own accord.
 */
#ifndef CIDLB_CONTROL_STATELESS_H
#define CIDLB_CONTROL_STATELESS_H

#include <stdint.h>

#include "conf/conf.h"
#include "path/table.h"

enum { STATELESS_TEXT_OCTETS = 256 };

/* The listener of a pool that runs without a table; NULL: it has one. `conf` is complete and good. */
const struct conf_listener *stateless_listener(const struct conf *conf, size_t pool);

/* Of a pool that does. listener_uids: by index in conf->listeners. */
struct stateless stateless_make(const struct conf *conf, size_t pool, const uint16_t *listener_uids);

/* Says for people how it does. Returns `text`. */
const char *stateless_explain(char text[static STATELESS_TEXT_OCTETS], const struct conf *conf, size_t pool);

#endif
