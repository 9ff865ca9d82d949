/* The fingerprint of a configuration, by which nodes of one service are compared: equal if all that must agree between
 * them does.
 *
 * It counts who the backends are (names, ids, weights, states, addresses), how pools choose among them and forward, how
 * CIDs are read, listeners by name, port and pool, the endpoints of nat without a table, and every key. It does not
 * count what a node has of its own (addresses of listeners, nat.sources and nat.ports beside a table, tunnel.local,
 * workers, user, files, admin), its limits and times, how it probes, nor what commands and probes changed; and no
 * order.
 *
 * A hash under hash_key: it tells nothing of the keys to who does not have them. It compares nodes of one version of
 * cidlb.
 */
#ifndef CIDLB_CONTROL_FINGERPRINT_H
#define CIDLB_CONTROL_FINGERPRINT_H

#include "conf/conf.h"

enum { FINGERPRINT_TEXT_OCTETS = 17 };

/* Writes 16 hex digits and returns `text`. */
const char *fingerprint_format(char text[static FINGERPRINT_TEXT_OCTETS], const struct conf *conf);

#endif
