#include "io/io.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>

#include "io/gso.h"

struct io_outbox {
	io_drain *drain;
	void *drain_ctx;
	size_t count;
	/* As queued. */
	struct io_send sends[IO_OUTBOX];
	uint8_t heads[IO_OUTBOX][IO_HEAD];
	struct sockaddr_storage to[IO_OUTBOX];
	socklen_t to_len[IO_OUTBOX];
	_Alignas(struct cmsghdr) uint8_t control[IO_OUTBOX][IO_CONTROL];
	size_t control_len[IO_OUTBOX];
	bool done[IO_OUTBOX];
	/* As they leave, of one socket at a time. */
	struct gso trains;
	struct mmsghdr headers[IO_OUTBOX]; /* by train */
	struct iovec vectors[2 * IO_OUTBOX];
};

struct io_outbox *io_outbox_new(io_drain *drain, void *ctx)
{
	struct io_outbox *outbox = calloc(1, sizeof *outbox);

	if (!outbox)
		return NULL;
	outbox->drain = drain;
	outbox->drain_ctx = ctx;
	return outbox;
}

void io_outbox_free(struct io_outbox *outbox)
{
	free(outbox);
}

static size_t control_write(uint8_t *control, int level, int type, const void *value, size_t len)
{
	struct msghdr header = { .msg_control = control, .msg_controllen = IO_CONTROL };
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), value, len);
	return CMSG_SPACE(len);
}

static size_t control_write_local(uint8_t *control, const uint8_t *local, bool v4)
{
	struct in6_pktinfo info6 = { 0 };
	struct in_pktinfo info = { 0 };

	if (v4) {
		memcpy(&info.ipi_spec_dst, local + 12, 4);
		return control_write(control, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
	}
	memcpy(&info6.ipi6_addr, local, 16);
	return control_write(control, IPPROTO_IPV6, IPV6_PKTINFO, &info6, sizeof info6);
}

void io_queue(struct io_outbox *outbox, const struct io_send *send)
{
	size_t at;

	if (outbox->count == IO_OUTBOX)
		io_flush(outbox);
	at = outbox->count++;
	outbox->sends[at] = *send;
	outbox->done[at] = false;
	if (send->head_len)
		memcpy(outbox->heads[at], send->head, send->head_len);
	outbox->to_len[at] = io_sockaddr(&outbox->to[at], &send->to);
	outbox->control_len[at] =
		send->local ? control_write_local(outbox->control[at], send->local, addr_is_v4(&send->to)) : 0;
}

/* Returns the first vector that is free after it. */
static struct iovec *train_write(struct io_outbox *outbox, const struct gso_send *train, struct msghdr *header,
				 struct iovec *vectors)
{
	const size_t leader = outbox->trains.order[train->at];
	struct iovec *next = vectors;

	for (size_t i = 0; i < train->count; i++) {
		const size_t at = outbox->trains.order[train->at + i];
		const struct io_send *send = &outbox->sends[at];
		if (send->head_len)
			*next++ = (struct iovec){ .iov_base = outbox->heads[at], .iov_len = send->head_len };
		*next++ = (struct iovec){ .iov_base = (void *)(uintptr_t)send->data, .iov_len = send->len };
	}
	if (train->segment)
		outbox->control_len[leader] = control_write(outbox->control[leader], SOL_UDP, UDP_SEGMENT,
							    &train->segment, sizeof train->segment);
	else if (outbox->sends[leader].path)
		outbox->control_len[leader] = 0;
	*header = (struct msghdr){
		.msg_name = &outbox->to[leader],
		.msg_namelen = outbox->to_len[leader],
		.msg_iov = vectors,
		.msg_iovlen = (size_t)(next - vectors),
		.msg_control = outbox->control_len[leader] ? outbox->control[leader] : NULL,
		.msg_controllen = outbox->control_len[leader],
	};
	return next;
}

static void count_sent(const struct io_send *send, const struct gso_send *train)
{
	const struct io_pmtu *path = send->path;

	stats_add(send->sent, 1);
	if (path && train->count > 1)
		stats_add(path->segmented, 1);
	if (path && path->most && gso_octets(send) > path->most)
		stats_add(path->fragmented, 1);
}

static void train_end(struct io_outbox *outbox, const struct gso_send *train, bool sent)
{
	for (size_t i = 0; i < train->count; i++) {
		const size_t at = outbox->trains.order[train->at + i];
		outbox->done[at] = true;
		if (sent)
			count_sent(&outbox->sends[at], train);
		else
			stats_add(outbox->sends[at].refused, 1);
	}
}

/* The kernel refuses a UDP_SEGMENT send that would have to be fragmented: with EMSGSIZE, old ones with EINVAL. Where
 * the size cannot be why, or the route cannot do it (EIO), the path is done with it. Returns true if something was
 * learnt. */
static bool path_learn(struct io_outbox *outbox, const struct gso_send *train, int error)
{
	if (!train->segment || (error != EMSGSIZE && error != EINVAL && error != EIO))
		return false;
	outbox->sends[outbox->trains.order[train->at]].path->most =
		error == EIO || train->segment <= GSO_ASK ? 0 : (uint16_t)(train->segment - 1);
	return true;
}

/* What the kernel turns ICMP errors into: the tables icmp_err_convert and icmpv6_err_convert, and what the protocols
 * add to them. A socket that queues them fails its next send with one, wherever that send goes. Nothing else can be
 * another datagram's: not a firewall's EPERM, not a full queue's ENOBUFS or EAGAIN. */
static bool may_be_pending(int error)
{
	switch (error) {
	case EACCES:
	case ECONNREFUSED:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case EMSGSIZE:
	case ENETUNREACH:
	case ENONET:
	case ENOPROTOOPT:
	case EOPNOTSUPP:
	case EPROTO:
		return true;
	default:
		return false;
	}
}

/* Refusals of one train. */
struct refusals {
	unsigned count;
	bool unexplained; /* by an error that no queue told of */
};

/* An error of ICMP's can be pending and in no queue. A socket of a single source address is every worker's: another may
 * have drained it after our send failed and before we looked. And an error that finds the receive buffer full is
 * reported, but not queued. In either case the send that failed has taken it off the socket, so that one more send
 * tells: what is refused with the queue empty again is refused for its own sake. Should it be another's for the second
 * time within microseconds, it counts as refused. IO_TRIES holds against errors that come as fast as they are drained;
 * those that the host itself queues at every try do not count as found. */
static bool is_tried_again(struct io_outbox *outbox, const struct io_send *send, struct refusals *refusals, int error)
{
	if (!send->queue || !may_be_pending(error) || ++refusals->count == IO_TRIES)
		return false;
	if (outbox->drain(outbox->drain_ctx, send->fd, send->queue) > 0)
		return true;
	if (refusals->unexplained)
		return false;
	refusals->unexplained = true;
	return true;
}

/* Until all trains are done, or something was learnt of a path. */
static void trains_send(struct io_outbox *outbox, int fd)
{
	const struct gso *trains = &outbox->trains;
	struct refusals refusals = { 0 };

	for (size_t at = 0; at < trains->count;) {
		const struct gso_send *train = &trains->trains[at];
		const int sent = sendmmsg(fd, outbox->headers + at, (unsigned)(trains->count - at), MSG_DONTWAIT);
		const int error = errno;

		if (sent > 0) {
			for (int i = 0; i < sent; i++)
				train_end(outbox, &trains->trains[at++], true);
		} else if (is_tried_again(outbox, &outbox->sends[trains->order[train->at]], &refusals, error)) {
			continue;
		} else if (path_learn(outbox, train, error)) {
			return;
		} else {
			train_end(outbox, train, false);
			at++;
		}
		refusals = (struct refusals){ 0 };
	}
}

/* Plans and sends what is not done of one socket. Returns how many that was. */
static size_t socket_flush(struct io_outbox *outbox, size_t first)
{
	const int fd = outbox->sends[first].fd;
	struct iovec *vectors = outbox->vectors;
	uint8_t pending[IO_OUTBOX];
	size_t count = 0;

	for (size_t i = first; i < outbox->count; i++)
		if (!outbox->done[i] && outbox->sends[i].fd == fd)
			pending[count++] = (uint8_t)i;
	gso_group(&outbox->trains, outbox->sends, pending, count);
	for (size_t i = 0; i < outbox->trains.count; i++)
		vectors = train_write(outbox, &outbox->trains.trains[i], &outbox->headers[i].msg_hdr, vectors);
	trains_send(outbox, fd);
	return count;
}

void io_flush(struct io_outbox *outbox)
{
	for (size_t first = 0; first < outbox->count; first++)
		while (!outbox->done[first])
			(void)socket_flush(outbox, first);
	outbox->count = 0;
}
