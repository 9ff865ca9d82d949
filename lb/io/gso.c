#include "io/gso.h"

#include <stdbool.h>

struct plan {
	struct gso *out;
	const struct io_send *sends;
	const uint8_t *pending;
	size_t count;
	bool taken[IO_OUTBOX]; /* by place in `pending` */
	size_t ordered;        /* members of all trains so far */
};

static const struct io_send *send_at(const struct plan *plan, size_t at)
{
	return &plan->sends[plan->pending[at]];
}

static void take(struct plan *plan, struct gso_send *train, size_t at)
{
	plan->taken[at] = true;
	plan->out->order[plan->ordered++] = plan->pending[at];
	train->count++;
}

/* Streams of which a datagram was passed over: what follows it must wait, too. */
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

/* Takes what may leave with the datagram at `first`. */
static void gather(struct plan *plan, struct gso_send *train, size_t first)
{
	const struct io_send *leader = send_at(plan, first);
	const size_t octets = gso_octets(leader), most = GSO_OCTETS / octets;
	struct waiting waiting = { .count = 0 };
	size_t shorter = 0;

	for (size_t i = first + 1; i < plan->count && train->count < most; i++) {
		const struct io_send *send = send_at(plan, i);
		if (plan->taken[i] || send->path != leader->path)
			continue;
		const bool waits = is_waiting(&waiting, send->stream);
		if (!waits && gso_octets(send) == octets) {
			take(plan, train, i);
			continue;
		}
		if (!waits && !shorter && gso_octets(send) < octets)
			shorter = i;
		waiting.streams[waiting.count++] = send->stream;
	}
	if (shorter && train->count < most)
		take(plan, train, shorter);
}

void gso_group(struct gso *out, const struct io_send *sends, const uint8_t *pending, size_t count)
{
	struct plan plan = { .out = out, .sends = sends, .pending = pending, .count = count };

	out->count = 0;
	for (size_t first = 0; first < count; first++) {
		const struct io_send *leader = send_at(&plan, first);
		const size_t octets = gso_octets(leader);
		struct gso_send *train = &out->trains[out->count];
		if (plan.taken[first])
			continue;
		out->count++;
		*train = (struct gso_send){ .at = (uint8_t)plan.ordered };
		take(&plan, train, first);
		if (!leader->path || octets > leader->path->most)
			continue;
		gather(&plan, train, first);
		if (train->count > 1 || octets > GSO_ASK)
			train->segment = (uint16_t)octets;
	}
}
