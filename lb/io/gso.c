#include "io/gso.h"

#include <stdbool.h>

struct grouping {
	struct gso *out;
	const struct io_send *sends;
	const uint8_t *pending;
	size_t count;
	bool taken[IO_OUTBOX]; /* by place in `pending` */
	size_t ordered;        /* members of all groups so far */
};

static const struct io_send *send_at(const struct grouping *grouping, size_t at)
{
	return &grouping->sends[grouping->pending[at]];
}

static void take(struct grouping *grouping, struct gso_send *group, size_t at)
{
	grouping->taken[at] = true;
	grouping->out->order[grouping->ordered++] = grouping->pending[at];
	group->count++;
}

/* Streams with a datagram that was passed over. What follows in such a stream must wait, too. */
struct waiting {
	uint64_t streams[IO_OUTBOX];
	size_t count;
};

static bool is_waiting(const struct waiting *waiting, uint64_t stream)
{
	for (size_t i = 0; i < waiting->count; i++)
		if (waiting->streams[i] == stream)
			return true;
	return false;
}

/* Takes the datagrams that may leave with the one at `first`. */
static void gather(struct grouping *grouping, struct gso_send *group, size_t first)
{
	const struct io_send *leader = send_at(grouping, first);
	const size_t octets = gso_octets(leader), most = GSO_OCTETS / octets;
	struct waiting waiting = { .count = 0 };
	size_t shorter = 0;

	for (size_t i = first + 1; i < grouping->count && group->count < most; i++) {
		const struct io_send *send = send_at(grouping, i);
		if (grouping->taken[i] || send->pmtu != leader->pmtu)
			continue;
		const bool waits = is_waiting(&waiting, send->stream);
		if (!waits && gso_octets(send) == octets) {
			take(grouping, group, i);
			continue;
		}
		if (!waits && !shorter && gso_octets(send) < octets)
			shorter = i;
		waiting.streams[waiting.count++] = send->stream;
	}
	if (shorter && group->count < most)
		take(grouping, group, shorter);
}

void gso_group(struct gso *out, const struct io_send *sends, const uint8_t *pending, size_t count)
{
	struct grouping grouping = { .out = out, .sends = sends, .pending = pending, .count = count };

	out->count = 0;
	for (size_t first = 0; first < count; first++) {
		const struct io_send *leader = send_at(&grouping, first);
		const size_t octets = gso_octets(leader);
		struct gso_send *group = &out->sends[out->count];
		if (grouping.taken[first])
			continue;
		out->count++;
		*group = (struct gso_send){ .at = (uint8_t)grouping.ordered };
		take(&grouping, group, first);
		if (!leader->pmtu || octets > leader->pmtu->most)
			continue;
		gather(&grouping, group, first);
		if (group->count > 1 || octets > GSO_ASK)
			group->segment = (uint16_t)octets;
	}
}
