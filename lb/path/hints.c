#include "path/hints.h"

#include "path/given_cid.h"
#include "path/learned_cids.h"
#include "path/pending_cids.h"

_Static_assert(HANDSHAKES_NO_HINT == ROUTE_NO_HINT, "a hint of one is a hint of the other");

/* A ClientHello, or what rule 4 of route.h leaves to a hint. */
static bool is_of_handshake(const struct snapshot_pool *pool, const struct dtls_view *view)
{
	return view->kind >= DTLS_HELLO && !route_by_cid(pool, view);
}

static uint32_t now_s(const struct path *path)
{
	return (uint32_t)(path->clock_ms / 1000);
}

static struct handshakes_datagram datagram_of(const struct path *path, const struct uplink *up)
{
	return (struct handshakes_datagram){ up->handshake, up->datagram->data, up->datagram->len, now_s(path) };
}

enum hello_step hints_hello_look(struct path *path, struct uplink *up)
{
	const struct handshakes_datagram hello = datagram_of(path, up);

	return handshakes_look(path->handshakes, &hello);
}

/* What is known of the source leads the CID: its handshake under way, else a hint if two servers have given it out. */
static void cid_recall(struct path *path, struct uplink *up, struct route_in *in)
{
	uint16_t backend = ROUTE_NO_HINT, at;
	uint8_t len;

	up->handshake = handshakes_source(path->handshakes, up->pool->uid, &in->source);
	if (pending_cids_find(handshakes_pending(path->handshakes), up->handshake, in, &backend, &len)) {
		at = snapshot_backend_of_uid(up->pool, backend);
		if (at != SNAPSHOT_NO_BACKEND) {
			in->learned_at = at;
			in->learned_len = len;
		}
		return;
	}
	in->hint = handshakes_hint(path->handshakes, up->handshake, now_s(path));
	if (up->shared != SNAPSHOT_NO_BACKEND && up->pool->backends[up->shared].uid == in->hint)
		in->learned_at = up->shared;
}

/* Nearly all CIDs are known, and at one server: they need nothing else. */
static void cids_recall(struct path *path, struct batch *batch)
{
	const bool contested = pending_cids_contested(handshakes_pending(path->handshakes), now_s(path));

	for (size_t i = 0; i < batch->count; i++) {
		struct route_in *in = &batch->in[i];

		if (in->view.kind == DTLS_CID &&
		    (contested || in->view.flight || in->learned_at == SNAPSHOT_NO_BACKEND ||
		     batch->up[i].shared != SNAPSHOT_NO_BACKEND))
			cid_recall(path, &batch->up[i], in);
	}
}

void hints_recall(struct path *path, struct batch *batch)
{
	uint8_t asking[IO_BATCH];
	size_t asked = 0;

	if (batch->pool->protocol != POOL_DTLS)
		return;
	if (batch->settings->learned)
		cids_recall(path, batch);
	for (size_t i = 0; i < batch->count; i++) {
		if (!is_of_handshake(batch->pool, &batch->in[i].view))
			continue;
		batch->up[i].handshake = handshakes_source(path->handshakes, batch->pool->uid, &batch->in[i].source);
		handshakes_prefetch(path->handshakes, batch->up[i].handshake);
		asking[asked++] = (uint8_t)i;
	}
	for (size_t i = 0; i < asked; i++) {
		struct route_in *in = &batch->in[asking[i]];
		struct uplink *up = &batch->up[asking[i]];

		in->hint = handshakes_hint(path->handshakes, up->handshake, now_s(path));
		if (in->view.hello_first && in->hint != ROUTE_NO_HINT && hints_hello_look(path, up) == HELLO_GOES_ON)
			in->view.hello_first = false;
	}
}

void hints_hello_take(struct path *path, struct uplink *up)
{
	const struct handshakes_datagram hello = datagram_of(path, up);
	const uint16_t backend = up->pool->backends[up->decision->backend].uid;

	if (handshakes_take(path->handshakes, &hello, backend) == HELLO_BEGINS) {
		stats_add(&path->stats.begun[backend], 1);
		stats_add(&path->stats.handshakes_begun[up->pool->uid], 1);
	}
}

static void cid_look(struct path *path, const struct hints_reply *reply)
{
	struct hello hello = { 0 };
	struct hello_cid cid;

	if (hello_reply(&hello, &path->hello_key, reply->data, reply->len, &cid) == HELLO_SAID_CID)
		given_cid_note(path, &(struct given_cid){ reply->pool, reply->backend, cid.octets, cid.len });
}

static void learn(struct path *path, const struct hints_reply *reply)
{
	const struct pending_reply datagram = {
		.source = handshakes_source(path->handshakes, reply->pool->uid, reply->device),
		.backend = reply->backend,
		.data = reply->data,
		.len = reply->len,
		.now_s = now_s(path),
	};
	struct pending_cids *pending = handshakes_pending(path->handshakes);
	struct hello_cid cid;

	switch (pending_cids_reply(pending, &path->hello_key, &datagram, &cid)) {
	case PENDING_NOTHING:
		break;
	case PENDING_GIVEN:
		learned_cids_offer(reply->learned, pending,
				   &(struct given_cid){ reply->pool, reply->backend, cid.octets, cid.len },
				   now_s(path));
		break;
	case PENDING_OVER:
		learned_cids_add(reply->learned, reply->pool, reply->backend, cid.octets, cid.len);
		break;
	}
}

void hints_reply(struct path *path, const struct hints_reply *reply)
{
	if (reply->learned)
		learn(path, reply);
	if (!dtls_answers_hello(reply->data, reply->len))
		return;
	stats_add(&path->stats.answered[reply->backend], 1);
	const struct handshakes_datagram datagram = {
		.source = handshakes_source(path->handshakes, reply->pool->uid, reply->device),
		.data = reply->data,
		.len = reply->len,
		.now_s = now_s(path),
	};
	handshakes_reply(path->handshakes, &datagram, reply->backend);
	cid_look(path, reply);
}
