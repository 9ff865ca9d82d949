/* The socket filter that keeps strangers' datagrams out of the queue of a tunnelled socket.
 *
 * A datagram that waits in the queue wakes whoever polls the socket, even if it then turns out to be nobody's. So the
 * kernel drops what cannot be a node's before it gets there: it is not from an address of CIDLB_SHIM_NODES, it does not
 * begin as a header of mode tunnel does, or its device has an address that the socket cannot name.
 *
 * The filter does not look at the port, and cannot verify the tag. datagram_receive() does both. Whoever can send from
 * a node's address can choose the port, too. But a port too few in CIDLB_SHIM_NODES is a common mistake, and the server
 * is to say so.
 *
 * Classic BPF, see Documentation/networking/filter.rst of Linux. It needs no privilege.
 */
#ifndef CIDLB_SHIM_FILTER_H
#define CIDLB_SHIM_FILTER_H

#include <linux/filter.h>
#include <stddef.h>
#include <sys/socket.h>

#include "shim/settings.h"

enum { FILTER_MAX = 64 + 9 * SETTINGS_NODES /* instructions */ };

/* Writes the filter for a socket of that family. Returns its instructions. */
size_t filter_build(struct sock_filter out[static FILTER_MAX], const struct settings *settings, sa_family_t family);

/* -errno: the socket has no filter of ours. */
int filter_attach(int fd, const struct settings *settings, sa_family_t family);

#endif
