#include "io/io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/gso.h"

enum { STREAM_WORDS = 256 / 64 };

struct io_outbox {
	struct io *io;
	io_drain *drain;
	void *drain_ctx;
	size_t count;
	/* The datagrams, as they were queued. */
	struct io_send sends[IO_OUTBOX];
	uint8_t heads[IO_OUTBOX][IO_HEAD];
	uint8_t locals[IO_OUTBOX][16];
	bool done[IO_OUTBOX];
	/* A datagram leaves behind all those of earlier turns. It has a later turn than the one before it in its stream
	 * if that leaves through another handle. */
	uint8_t turns[IO_OUTBOX];
	uint8_t last_turn;
	uint64_t streams[STREAM_WORDS]; /* a bit for each stream that is there; some share one */
	/* The groups of one handle at a time, as they leave. */
	struct gso groups;
};

struct io_outbox *io_outbox_new(struct io *io, io_drain *drain, void *ctx)
{
	struct io_outbox *outbox = calloc(1, sizeof *outbox);

	if (!outbox)
		return NULL;
	outbox->io = io;
	outbox->drain = drain;
	outbox->drain_ctx = ctx;
	return outbox;
}

void io_outbox_free(struct io_outbox *outbox)
{
	free(outbox);
}

static uint8_t turn_in_stream(struct io_outbox *outbox, const struct io_send *send)
{
	/* Multiplied, its upper bits depend on all. */
	const unsigned at = (unsigned)(send->stream * UINT64_C(0x9e3779b97f4a7c15) >> 56);
	const uint64_t bit = UINT64_C(1) << at % 64;

	if (!(outbox->streams[at / 64] & bit)) {
		outbox->streams[at / 64] |= bit;
		return 0;
	}
	for (size_t i = outbox->count; i-- > 0;)
		if (outbox->sends[i].stream == send->stream && !outbox->sends[i].pmtu)
			return (uint8_t)(outbox->turns[i] + (outbox->sends[i].handle != send->handle));
	return 0;
}

static uint8_t turn_of(struct io_outbox *outbox, const struct io_send *send)
{
	return send->stream && !send->pmtu ? turn_in_stream(outbox, send) : 0;
}

void io_queue(struct io_outbox *outbox, const struct io_send *send)
{
	uint8_t turn;
	size_t at;

	if (outbox->count == IO_OUTBOX)
		io_flush(outbox);
	turn = turn_of(outbox, send);
	at = outbox->count++;
	outbox->sends[at] = *send;
	outbox->turns[at] = turn;
	if (turn > outbox->last_turn)
		outbox->last_turn = turn;
	outbox->done[at] = false;
	if (send->head_len)
		outbox->sends[at].head = memcpy(outbox->heads[at], send->head, send->head_len);
	if (send->local)
		outbox->sends[at].local = memcpy(outbox->locals[at], send->local, sizeof outbox->locals[at]);
}

static void count_sent(const struct io_send *send, const struct gso_send *group)
{
	const struct io_pmtu *pmtu = send->pmtu;

	if (!send->sent)
		return;
	stats_add(&send->sent->datagrams, 1);
	stats_add(&send->sent->octets, send->before + send->len);
	if (pmtu && group->count > 1)
		stats_add(pmtu->segmented, 1);
	if (pmtu && pmtu->most && gso_octets(send) > pmtu->most)
		stats_add(pmtu->fragmented, 1);
}

static void group_end(struct io_outbox *outbox, const struct gso_send *group, bool sent)
{
	for (size_t i = 0; i < group->count; i++) {
		const size_t at = outbox->groups.order[group->at + i];
		outbox->done[at] = true;
		if (sent)
			count_sent(&outbox->sends[at], group);
		else if (outbox->sends[at].refused)
			stats_add(outbox->sends[at].refused, 1);
	}
}

/* The kernel refuses a UDP_SEGMENT send that would have to be fragmented: with EMSGSIZE, and old kernels with EINVAL.
 * The path stops grouping if the size cannot be the reason, or if the route cannot do it (EIO). Returns true if
 * something was learnt. */
static bool path_learn(struct io_outbox *outbox, const struct gso_send *group, int error)
{
	if (!group->segment || (error != EMSGSIZE && error != EINVAL && error != EIO))
		return false;
	outbox->sends[outbox->groups.order[group->at]].pmtu->most =
		error == EIO || group->segment <= GSO_ASK ? 0 : (uint16_t)(group->segment - 1);
	return true;
}

/* True for an error that the kernel makes of an ICMP error. Its tables icmp_err_convert and icmpv6_err_convert list
 * them, and the protocols add a few. A socket that queues ICMP errors fails its next send with one, wherever that send
 * goes. No other error can be another datagram's: not EPERM of a firewall, nor ENOBUFS or EAGAIN of a full queue. */
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

/* Refusals of one group. */
struct refusals {
	unsigned count;
	bool unexplained; /* one was by an error that was in no queue */
};

/* An ICMP error can be pending and in no queue, for two reasons. All workers share a socket of a single source address,
 * so another worker may drain the error between our failed send and our look. And an error that finds the receive
 * buffer full is reported, but not queued.
 *
 * Either way the failed send has taken the error off the socket, so one more send tells. If that is refused with the
 * queue empty again, it is refused for its own sake. It could be another such error within microseconds; then it counts
 * as refused all the same.
 *
 * IO_TRIES bounds what errors can do that arrive as fast as they are drained. Errors that the host itself queues at
 * every try do not count as found.
 */
static bool is_tried_again(struct io_outbox *outbox, const struct io_send *send, struct refusals *refusals, int error)
{
	if (!send->queue || !may_be_pending(error) || ++refusals->count == IO_TRIES)
		return false;
	if (outbox->drain(outbox->drain_ctx, send->handle, send->queue) > 0)
		return true;
	if (refusals->unexplained)
		return false;
	refusals->unexplained = true;
	return true;
}

/* Sends until all groups are done, or something was learnt of a path. */
static void groups_send(struct io_outbox *outbox, int handle)
{
	const struct gso *groups = &outbox->groups;
	struct refusals refusals = { 0 };

	for (size_t at = 0; at < groups->count;) {
		const struct gso_send *group = &groups->sends[at];
		const int sent =
			handle < 0 ? -EBADF : outbox->io->ops->send(outbox->io, handle, outbox->sends, groups, at);

		if (sent > 0) {
			for (int i = 0; i < sent; i++)
				group_end(outbox, &groups->sends[at++], true);
		} else if (is_tried_again(outbox, &outbox->sends[groups->order[group->at]], &refusals, -sent)) {
			continue;
		} else if (path_learn(outbox, group, -sent)) {
			return;
		} else {
			group_end(outbox, group, false);
			at++;
		}
		refusals = (struct refusals){ 0 };
	}
}

/* Groups and sends what is not done of the handle that `first` leaves through, and of its turn. */
static void handle_flush(struct io_outbox *outbox, size_t first)
{
	const int handle = outbox->sends[first].handle;
	const uint8_t turn = outbox->turns[first];
	uint8_t pending[IO_OUTBOX];
	size_t count = 0;

	for (size_t i = first; i < outbox->count; i++)
		if (!outbox->done[i] && outbox->sends[i].handle == handle && outbox->turns[i] == turn)
			pending[count++] = (uint8_t)i;
	gso_group(&outbox->groups, outbox->sends, pending, count);
	groups_send(outbox, handle);
}

void io_flush(struct io_outbox *outbox)
{
	for (unsigned turn = 0; turn <= outbox->last_turn; turn++)
		for (size_t first = 0; first < outbox->count; first++)
			while (!outbox->done[first] && outbox->turns[first] == turn)
				handle_flush(outbox, first);
	outbox->count = 0;
	outbox->last_turn = 0;
	memset(outbox->streams, 0, sizeof outbox->streams);
}
