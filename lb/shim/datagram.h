/* Datagrams in and out of a tunnelled socket as the server sees them: with the device's address, and without a
 * header. */
#ifndef CIDLB_SHIM_DATAGRAM_H
#define CIDLB_SHIM_DATAGRAM_H

#include <stdint.h>
#include <sys/socket.h>

#include "shim/notice.h"
#include "shim/settings.h"
#include "shim/table.h"

enum { DATAGRAM_PIECES = 64 /* of one message; more are refused with EMSGSIZE */ };

struct shim {
	struct settings settings;
	struct table table;
	struct notice notice;
};

/* Like recvmsg() and sendmsg() on a descriptor with this mark. Datagrams that are not a node's are never seen. The call
 * goes on as if they had not come, and fails with EAGAIN when it may not wait. */
ssize_t datagram_receive(struct shim *shim, int fd, uint8_t mark, struct msghdr *msg, int flags);

/* EHOSTUNREACH: no datagram has shown yet where any device is. EOPNOTSUPP: MSG_MORE, MSG_ZEROCOPY. */
ssize_t datagram_send(struct shim *shim, int fd, uint8_t mark, const struct msghdr *msg, int flags);

#endif
