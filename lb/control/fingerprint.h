/* The fingerprint of a configuration, by which the nodes of one service are compared. It is equal if everything agrees
 * that must agree between them.
 *
 * It covers who the backends are (names, ids, weights, states, addresses), how pools choose among them and forward, how
 * CIDs are read, listeners by name, port and pool, the endpoints of nat without a table, and every key. It leaves out
 * what a node has of its own: addresses of listeners, nat.sources and nat.ports of pools with a table, tunnel.local,
 * workers, user, files, admin. It also leaves out limits, times, how backends are probed, what commands and probes have
 * changed, and any order.
 *
 * It is a hash under hash_key, so it tells nothing about the keys to anyone who lacks them. It compares only nodes of
 * the same version of cidlb.
 */
#ifndef CIDLB_CONTROL_FINGERPRINT_H
#define CIDLB_CONTROL_FINGERPRINT_H

#include "conf/conf.h"

enum { FINGERPRINT_TEXT_OCTETS = 17 };

/* Writes 16 hex digits and returns `text`. */
const char *fingerprint_format(char text[static FINGERPRINT_TEXT_OCTETS], const struct conf *conf);

#endif
