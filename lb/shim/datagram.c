#include "shim/datagram.h"

#include <errno.h>
#include <string.h>

#include "shim/marks.h"
#include "shim/real.h"
#include "shim/rewrite.h"

struct incoming {
	struct sockaddr_storage name; /* of the outer sender */
	struct iovec pieces[DATAGRAM_PIECES + 2];
	uint8_t head[REWRITE_HEAD_OCTETS], tail[REWRITE_TAIL_OCTETS];
	struct msghdr msg;
	struct proxy2_ends ends;
	size_t octets; /* of the header */
};

static size_t capacity_of(const struct msghdr *msg)
{
	size_t octets = 0;

	for (size_t i = 0; i < msg->msg_iovlen; i++)
		octets += msg->msg_iov[i].iov_len;
	return octets;
}

static void prepare(struct incoming *in, const struct msghdr *msg)
{
	const size_t count = msg->msg_iovlen;

	in->pieces[0] = (struct iovec){ in->head, sizeof in->head };
	if (count > 0)
		memcpy(&in->pieces[1], msg->msg_iov, count * sizeof *msg->msg_iov);
	in->pieces[count + 1] = (struct iovec){ in->tail, sizeof in->tail };
	in->msg = (struct msghdr){
		.msg_name = &in->name,
		.msg_namelen = sizeof in->name,
		.msg_iov = in->pieces,
		.msg_iovlen = count + 2,
		.msg_control = msg->msg_control,
		.msg_controllen = msg->msg_controllen,
	};
}

/* PROXY2_GOOD, or why the datagram is dropped, as in notice.h. */
static unsigned unwrap(struct shim *shim, uint8_t mark, struct incoming *in, size_t len, struct addr *outer)
{
	if (rewrite_addr(outer, (const struct sockaddr *)&in->name, in->msg.msg_namelen) != 0 ||
	    !settings_is_node(&shim->settings, outer))
		return NOTICE_FOREIGN;
	const enum proxy2_result result =
		rewrite_unwrap(&in->ends, &in->octets, &shim->settings.keys,
			       &(struct rewrite_datagram){ in->pieces, in->msg.msg_iovlen, len });
	if (result == PROXY2_GOOD && mark_family(mark) == AF_INET && !addr_is_v4(&in->ends.source))
		return NOTICE_FAMILY;
	return result;
}

static ssize_t hand_over(uint8_t mark, struct incoming *in, size_t len, struct msghdr *msg, int flags)
{
	const size_t payload = len - in->octets, capacity = capacity_of(msg);
	struct sockaddr_storage name;
	socklen_t name_len;

	rewrite_received_control(&in->msg, &in->ends.destination);
	rewrite_name(&name, &name_len, mark_family(mark), &in->ends.source);
	if (msg->msg_name) {
		memcpy(msg->msg_name, &name, name_len < msg->msg_namelen ? name_len : msg->msg_namelen);
		msg->msg_namelen = name_len;
	}
	msg->msg_controllen = in->msg.msg_controllen;
	msg->msg_flags = (in->msg.msg_flags & ~MSG_TRUNC) | (payload > capacity ? MSG_TRUNC : 0);
	return (ssize_t)(payload > capacity && !(flags & MSG_TRUNC) ? capacity : payload);
}

ssize_t datagram_receive(struct shim *shim, int fd, uint8_t mark, struct msghdr *msg, int flags)
{
	struct incoming in;
	struct addr outer;
	ssize_t len;

	if (flags & MSG_ERRQUEUE)
		return real_calls()->recvmsg(fd, msg, flags);
	if (mark & MARK_REFUSED || msg->msg_iovlen > DATAGRAM_PIECES) {
		errno = mark & MARK_REFUSED ? EACCES : EMSGSIZE;
		return -1;
	}
	for (;;) {
		prepare(&in, msg);
		/* With MSG_TRUNC it returns how long the datagram really is. */
		len = real_calls()->recvmsg(fd, &in.msg, flags | MSG_TRUNC);
		if (len < 0)
			return -1;
		const unsigned drop = unwrap(shim, mark, &in, (size_t)len, &outer);
		if (drop == PROXY2_GOOD)
			break;
		notice_drop(&shim->notice, drop, &outer);
		/* Peeking left it in the queue, and it would be met again and again. */
		if (flags & MSG_PEEK)
			real_calls()->recv(fd, in.head, 0, MSG_DONTWAIT);
	}
	table_learn(&shim->table, mark_port(mark), &in.ends.source, &(struct table_way){ outer, in.ends.destination });
	return hand_over(mark, &in, (size_t)len, msg, flags);
}

/* -errno: such a message is not sent, wherever it would go. */
static int check_message(uint8_t mark, const struct msghdr *msg, int flags)
{
	if (mark & MARK_REFUSED)
		return -EACCES;
	if (flags & (MSG_MORE | MSG_ZEROCOPY))
		return -EOPNOTSUPP;
	if (msg->msg_iovlen > DATAGRAM_PIECES)
		return -EMSGSIZE;
	return msg->msg_name ? 0 : -EDESTADDRREQ;
}

/* -errno: there is no way to where the message is to go. */
static int find_way(struct shim *shim, uint8_t mark, const struct msghdr *msg, struct proxy2_ends *ends,
		    struct addr *node)
{
	struct table_way way;
	const int err = rewrite_addr(&ends->destination, msg->msg_name, msg->msg_namelen);

	if (err)
		return err;
	if (!table_find(&shim->table, mark_port(mark), &ends->destination, &way))
		return -EHOSTUNREACH;
	ends->source = way.service;
	*node = way.node;
	return 0;
}

ssize_t datagram_send(struct shim *shim, int fd, uint8_t mark, const struct msghdr *msg, int flags)
{
	_Alignas(struct cmsghdr) char control[REWRITE_CONTROL_OCTETS];
	struct iovec pieces[DATAGRAM_PIECES + 1];
	uint8_t header[PROXY2_MAX_OCTETS];
	struct sockaddr_storage name;
	struct proxy2_ends ends;
	struct addr node;
	struct msghdr out = {
		.msg_name = &name, .msg_iov = pieces, .msg_iovlen = msg->msg_iovlen + 1, .msg_control = control
	};

	int err = check_message(mark, msg, flags);
	if (!err)
		err = find_way(shim, mark, msg, &ends, &node);
	if (!err)
		err = rewrite_sent_control(control, &out.msg_controllen, msg);
	if (err) {
		errno = -err;
		return -1;
	}
	const size_t octets = proxy2_write(header, &shim->settings.keys, PROXY2_DOWN, &ends);
	pieces[0] = (struct iovec){ header, octets };
	if (msg->msg_iovlen > 0)
		memcpy(&pieces[1], msg->msg_iov, msg->msg_iovlen * sizeof *msg->msg_iov);
	rewrite_name(&name, &out.msg_namelen, mark_family(mark), &node);
	const ssize_t sent = real_calls()->sendmsg(fd, &out, flags);
	return sent < 0 ? -1 : sent - (ssize_t)octets;
}
