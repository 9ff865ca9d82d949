#include "shim/datagram.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "shim/marks.h"
#include "shim/patience.h"
#include "shim/real.h"
#include "shim/rewrite.h"

struct incoming {
	struct sockaddr_storage name; /* of the outer sender */
	struct iovec pieces[DATAGRAM_PIECES + 2];
	uint8_t head[REWRITE_HEAD_OCTETS], tail[REWRITE_TAIL_OCTETS];
	struct msghdr msg;
	struct addr outer;
	int node; /* index of the outer sender */
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
static unsigned unwrap(struct shim *shim, uint8_t mark, struct incoming *in, size_t len)
{
	in->outer = (struct addr){ 0 };
	if (rewrite_addr(&in->outer, (const struct sockaddr *)&in->name, in->msg.msg_namelen) != 0 ||
	    (in->node = settings_node(&shim->settings, &in->outer)) < 0)
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

/* Whoever shuts a UDP socket down wakes those that wait: they get nothing, of nobody. */
static ssize_t hand_over_end(const struct incoming *in, struct msghdr *msg)
{
	msg->msg_namelen = 0;
	msg->msg_controllen = in->msg.msg_controllen;
	msg->msg_flags = in->msg.msg_flags & ~MSG_TRUNC;
	return 0;
}

/* Receives until a datagram is a node's. -1 with errno: none came. 0 octets without a sender: it was shut down. */
static ssize_t receive_good(struct shim *shim, uint8_t mark, struct incoming *in, struct patience *patience,
			    const struct msghdr *msg)
{
	const int fd = patience->fd;

	for (;;) {
		prepare(in, msg);
		const ssize_t len = patience_receive(patience, &in->msg);
		if (len < 0 || in->msg.msg_namelen == 0)
			return len;
		const unsigned drop = unwrap(shim, mark, in, (size_t)len);
		if (drop == PROXY2_GOOD)
			return len;
		notice_drop(&shim->notice, drop, &in->outer);
		/* Peeking left it in the queue, and it would be met again and again. */
		if (patience->flags & MSG_PEEK)
			real_calls()->recv(fd, in->head, 0, MSG_DONTWAIT);
		if (patience_go_on(patience) != 0)
			return -1;
	}
}

static uint32_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint32_t)now.tv_sec;
}

ssize_t datagram_receive(struct shim *shim, int fd, uint8_t mark, struct msghdr *msg, int flags)
{
	struct patience patience;
	struct incoming in;

	if (flags & MSG_ERRQUEUE)
		return real_calls()->recvmsg(fd, msg, flags);
	if (mark & MARK_REFUSED || msg->msg_iovlen > DATAGRAM_PIECES) {
		errno = mark & MARK_REFUSED ? EACCES : EMSGSIZE;
		return -1;
	}
	/* With MSG_TRUNC the result is how long the datagram really is. */
	patience_begin(&patience, fd, flags | MSG_TRUNC);
	const ssize_t len = receive_good(shim, mark, &in, &patience, msg);
	patience_end(&patience);
	if (len < 0)
		return -1;
	if (in.msg.msg_namelen == 0)
		return hand_over_end(&in, msg);
	notice_kernel_drops(&shim->notice, fd);
	versions_hear(&shim->versions, in.node, in.ends.version, now_s());
	table_learn(
		&shim->table, mark_port(mark), &in.ends.source,
		&(struct table_way){ in.outer, in.ends.destination, in.ends.key, in.ends.version == PROXY2_V2_DIRECT },
		now_s());
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

/* The ways by which the message is to leave. -errno: there is none. */
static int find_ways(struct shim *shim, uint8_t mark, const struct msghdr *msg, struct addr *device,
		     struct table_way ways[static TABLE_PAIRS])
{
	struct addr source;
	int named = 0;
	const int err = rewrite_addr(device, msg->msg_name, msg->msg_namelen);

	if (err)
		return err;
	const int count = (int)table_find(&shim->table, mark_port(mark), device, ways);
	if (count == 0)
		return -EHOSTUNREACH;
	if (!rewrite_sent_source(&source, msg))
		return count;
	for (int i = 0; i < count; i++)
		if (memcmp(ways[i].service.ip, source.ip, sizeof source.ip) == 0)
			ways[named++] = ways[i];
	return named > 0 ? named : count;
}

/* A message to a device. Its first piece and its receiver are filled in for each way. */
struct outgoing {
	int fd, flags;
	sa_family_t family;
	struct addr device;
	struct iovec pieces[DATAGRAM_PIECES + 1];
	struct msghdr msg;
	_Alignas(struct cmsghdr) char control[REWRITE_CONTROL_OCTETS + REWRITE_SOURCE_OCTETS];
};

/* Its device is not known yet. */
static int prepare_outgoing(struct outgoing *out, const struct msghdr *msg)
{
	out->msg = (struct msghdr){ .msg_iov = out->pieces,
				    .msg_iovlen = msg->msg_iovlen + 1,
				    .msg_control = out->control };
	if (msg->msg_iovlen > 0)
		memcpy(&out->pieces[1], msg->msg_iov, msg->msg_iovlen * sizeof *msg->msg_iov);
	return rewrite_sent_control(out->control, &out->msg.msg_controllen, msg);
}

/* How many octets were sent, or -1 with errno. */
static ssize_t send_direct(const struct outgoing *out, const struct table_way *way, uint16_t port)
{
	struct sockaddr_storage name;
	struct msghdr msg = out->msg;

	if (way->service.port != port || !rewrite_name(&name, &msg.msg_namelen, out->family, &out->device)) {
		errno = EADDRNOTAVAIL;
		return -1;
	}
	msg.msg_name = &name;
	msg.msg_iov++;
	msg.msg_iovlen--;
	rewrite_source_control(&msg, out->family, &way->service);
	return real_calls()->sendmsg(out->fd, &msg, out->flags);
}

/* How many octets of the message were sent, or -1 with errno. */
static ssize_t send_to_node(struct outgoing *out, const struct table_way *way, const struct shim *shim)
{
	const int node = settings_node(&shim->settings, &way->node); /* the table has no others */
	const struct proxy2_ends ends = { way->service, out->device, (uint8_t)way->key,
					  (uint8_t)versions_of(&shim->versions, node) };
	uint8_t header[PROXY2_MAX_OCTETS];
	struct sockaddr_storage name;
	const size_t octets = proxy2_write(header, &shim->settings.keys, PROXY2_DOWN, &ends);

	out->pieces[0] = (struct iovec){ header, octets };
	out->msg.msg_name = &name;
	rewrite_name(&name, &out->msg.msg_namelen, out->family, &way->node);
	const ssize_t sent = real_calls()->sendmsg(out->fd, &out->msg, out->flags);
	return sent < 0 ? -1 : sent - (ssize_t)octets;
}

/* The socket cannot send from there, as this errno says; or there is no route. Which one depends on the kernel. */
static bool is_misplaced(int error)
{
	return error == EADDRNOTAVAIL || error == EINVAL || error == ENETUNREACH;
}

static ssize_t send_by(struct outgoing *out, const struct table_way *way, uint8_t mark, struct shim *shim)
{
	if (way->direct) {
		const ssize_t sent = send_direct(out, way, shim->settings.ports[mark_port(mark)]);
		if (sent >= 0 || !is_misplaced(errno))
			return sent;
		notice_not_direct(&shim->notice, &way->service, errno);
	}
	return send_to_node(out, way, shim);
}

ssize_t datagram_send(struct shim *shim, int fd, uint8_t mark, const struct msghdr *msg, int flags)
{
	struct outgoing out;
	struct table_way ways[TABLE_PAIRS];
	ssize_t sent = -1;
	int count = 0;

	out.fd = fd;
	out.flags = flags;
	out.family = mark_family(mark);
	int err = check_message(mark, msg, flags);
	if (!err)
		err = prepare_outgoing(&out, msg);
	if (!err) {
		count = find_ways(shim, mark, msg, &out.device, ways);
		err = count < 0 ? count : 0;
	}
	if (err) {
		errno = -err;
		return -1;
	}
	for (int i = 0; i < count; i++) {
		const ssize_t octets = send_by(&out, &ways[i], mark, shim);
		sent = octets >= 0 ? octets : sent;
	}
	return sent;
}
