/* Datagrams in and out of a tunnelled socket as the server sees them: with the device's address, and without a
 * header. */
#ifndef CIDLB_SHIM_DATAGRAM_H
#define CIDLB_SHIM_DATAGRAM_H

#include <stdint.h>
#include <sys/socket.h>

#include "shim/notice.h"
#include "shim/settings.h"
#include "shim/table.h"
#include "shim/versions.h"

enum { DATAGRAM_PIECES = 64 /* of one message; more are refused with EMSGSIZE */ };

struct shim {
	struct settings settings;
	struct table table;
	struct versions versions;
	struct notice notice;
};

/* Like recvmsg() and sendmsg() on a descriptor with this mark. Any thread.
 *
 * Datagrams that are not a node's are never seen. Almost all of them the socket's filter keeps out. One that comes all
 * the same, as with a node's address and a bad tag, is taken from the queue, and the call goes on as if it had not
 * come:
 *
 *   - A call that may not wait says EAGAIN.
 *   - So does a call that may, on a descriptor that somebody polls. That one has been told that it need not wait, and
 *     perhaps has more to do. The kernel's poll() itself is careful not to wake up for a bad checksum.
 *   - Else it waits on, no longer than SO_RCVTIMEO from its beginning. A signal ends it with EINTR. */
ssize_t datagram_receive(struct shim *shim, int fd, uint8_t mark, struct msghdr *msg, int flags);

/* Sends by each way to the device (table.h). If the message names one of their service addresses, only by that. The
 * result is that of one that was sent, if any was. EHOSTUNREACH: no datagram has shown yet where any device is.
 * EOPNOTSUPP: MSG_MORE, MSG_ZEROCOPY.
 *
 * A way that the node wants answered directly leaves without a header, from the service address to the device. That
 * takes a socket on the service address' port, the address on this host, and a route. Else the node gets it, which
 * delivers it as any other, and a line says so. */
ssize_t datagram_send(struct shim *shim, int fd, uint8_t mark, const struct msghdr *msg, int flags);

#endif
