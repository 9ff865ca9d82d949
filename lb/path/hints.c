#include "path/hints.h"

#include "path/given_cid.h"
#include "path/learned_cids.h"
#include "path/pending_cids.h"
#include "path/resumed.h"

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

/* A handshake of the source has given out the CID of the datagram. */
static bool pending_find(struct path *path, uint64_t source, const struct route_in *in, uint16_t *backend, uint8_t *len)
{
	struct pending_cids *pending = handshakes_pending(path->handshakes);

	return pending_cids_find(pending, source, in, backend, len) ||
	       pending_cids_find(pending, handshakes_led(source), in, backend, len);
}

/* What is known of the source leads the CID: its handshake under way, else a hint if two servers have given it out. */
static void cid_recall(struct path *path, struct uplink *up, struct route_in *in)
{
	uint16_t backend = ROUTE_NO_HINT, at;
	uint8_t len;

	up->handshake = handshakes_source(path->handshakes, up->pool->uid, &in->source);
	if (pending_find(path, up->handshake, in, &backend, &len)) {
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

/* A ClientHello that offers what some server can resume is led there, and its handshake is one of its own
 * (handshakes_led()). Until its source has repeated a cookie nobody knows whose it is. */
static bool offer_recall(struct path *path, struct uplink *up, struct route_in *in)
{
	const uint16_t offered = resumed_offer(up->settings, up->pool, in->data, in->len);
	const uint64_t source = up->handshake;

	if (offered == ROUTE_NO_HINT)
		return false;
	up->led = true;
	up->handshake = handshakes_led(source);
	in->hint = handshakes_hint(path->handshakes, up->handshake, now_s(path));
	if (in->hint == ROUTE_NO_HINT || hints_hello_look(path, up) != HELLO_GOES_ON)
		in->hint = offered;
	in->view.hello_first = false;
	return true;
}

static void hello_recall(struct path *path, struct uplink *up, struct route_in *in)
{
	const uint64_t source = up->handshake;
	uint16_t led;

	in->hint = handshakes_hint(path->handshakes, source, now_s(path));
	if (in->hint != ROUTE_NO_HINT && hints_hello_look(path, up) == HELLO_GOES_ON) {
		in->view.hello_first = false;
		return;
	}
	if (offer_recall(path, up, in) || in->view.hello_first)
		return;
	/* A later fragment does not show what is offered. */
	led = handshakes_hint(path->handshakes, handshakes_led(source), now_s(path));
	if (in->hint == ROUTE_NO_HINT && led != ROUTE_NO_HINT) {
		up->handshake = handshakes_led(source);
		in->hint = led;
	}
}

/* The source may have two handshakes, `own` and `led`, and at `home` a session since before. Whose the datagram is its
 * records do not say. Anybody can send a ClientHello in the name of a source. So until the source has repeated a
 * cookie, a handshake has only what is new: epoch 0, and the first records behind it. What a session sends that has
 * been there for longer goes home, or where its address leads. Of DTLS 1.3, which resumes otherwise, nobody can tell.
 */
static uint16_t hint_of(const struct handshakes_known *own, const struct handshakes_known *led, uint16_t home,
			const struct route_in *in)
{
	const bool has_own = own->backend != ROUTE_NO_HINT, has_led = led->backend != ROUTE_NO_HINT;
	const bool settled = resume_is_settled(in->data, in->len), is_dtls12 = in->data[0] <= DTLS_RRC;
	const bool newer = has_own && own->age_s < led->age_s && (own->confirmed || !settled);

	if (has_led && led->confirmed && !newer)
		return led->backend;
	if (has_led && !has_own && !settled && is_dtls12)
		return led->backend;
	if (has_own && (own->confirmed || !settled || home == ROUTE_NO_HINT))
		return own->backend;
	return home;
}

static void source_recall(struct path *path, struct uplink *up, struct route_in *in, const struct learned_place *place)
{
	const uint64_t source = up->handshake;
	const struct handshakes_known own = handshakes_know(path->handshakes, source, now_s(path)),
				      led = handshakes_know(path->handshakes, handshakes_led(source), now_s(path));
	const uint16_t home = place ? resumed_find(up->settings, up->pool, place) : ROUTE_NO_HINT;

	in->hint = hint_of(&own, &led, home, in);
}

void hints_recall(struct path *path, struct batch *batch)
{
	struct learned_place places[IO_BATCH];
	uint8_t asking[IO_BATCH];
	size_t asked = 0;
	bool has_addresses;

	if (batch->pool->protocol != POOL_DTLS)
		return;
	if (batch->settings->learned)
		cids_recall(path, batch);
	has_addresses = resumed_has_addresses(batch->settings);
	for (size_t i = 0; i < batch->count; i++) {
		if (!is_of_handshake(batch->pool, &batch->in[i].view))
			continue;
		batch->up[i].handshake = handshakes_source(path->handshakes, batch->pool->uid, &batch->in[i].source);
		handshakes_prefetch(path->handshakes, batch->up[i].handshake);
		if (has_addresses)
			places[asked] = resumed_look(batch->settings, &batch->in[i].source);
		asking[asked++] = (uint8_t)i;
	}
	for (size_t i = 0; i < asked; i++) {
		struct route_in *in = &batch->in[asking[i]];
		struct uplink *up = &batch->up[asking[i]];

		if (in->view.kind == DTLS_HELLO)
			hello_recall(path, up, in);
		else
			source_recall(path, up, in, has_addresses ? &places[i] : NULL);
	}
}

void hints_hello_take(struct path *path, struct uplink *up)
{
	const struct handshakes_datagram hello = datagram_of(path, up);
	const uint16_t backend = up->pool->backends[up->decision->backend].uid;

	if (handshakes_take(path->handshakes, &hello, backend) == HELLO_BEGINS) {
		stats_add(&path->stats.begun[backend], 1);
		stats_add(&path->stats.handshakes_begun[up->pool->uid], 1);
		if (uplink_is_led(up))
			stats_add(&path->stats.handshakes_led[up->pool->uid], 1);
	}
}

static void cid_look(struct path *path, const struct hints_reply *reply)
{
	struct hello hello = { 0 };
	struct hello_cid cid;

	if (hello_reply(&hello, &path->hello_key, reply->data, reply->len, &cid) == HELLO_SAID_CID)
		given_cid_note(path, &(struct given_cid){ reply->pool, reply->backend, cid.octets, cid.len });
}

/* True: the reply belongs to this handshake of its source, and ends it. */
static bool learn(struct path *path, const struct hints_reply *reply, uint64_t source)
{
	const struct table_pool *settings = reply->settings;
	const struct pending_reply datagram = {
		.source = source,
		.backend = reply->backend,
		.data = reply->data,
		.len = reply->len,
		.now_s = now_s(path),
		.learns_cids = settings->learned,
		.names = settings->sessions ? &settings->session_key : NULL,
	};
	struct pending_cids *pending = handshakes_pending(path->handshakes);
	struct pending_said said;

	switch (pending_cids_reply(pending, &path->hello_key, &datagram, &said)) {
	case PENDING_NOTHING:
		return false;
	case PENDING_GIVEN:
		learned_cids_offer(settings->learned, pending,
				   &(struct given_cid){ reply->pool, reply->backend, said.cid.octets, said.cid.len },
				   now_s(path));
		cid_cache_forget(path, reply->pool->uid, said.cid.octets, said.cid.len);
		break;
	case PENDING_OVER:
		learned_cids_add(settings->learned, reply->pool, reply->backend, said.cid.octets, said.cid.len);
		cid_cache_forget(path, reply->pool->uid, said.cid.octets, said.cid.len);
		break;
	case PENDING_OVER_WITHOUT_CID:
		resumed_learn(
			&(struct resumed_session){ settings, reply->pool, reply->backend, reply->device, said.given });
		break;
	}
	return true;
}

/* Which handshake of its source an answer to a ClientHello is of: the one that was led to this backend, or the other.
 */
static uint64_t answered(const struct path *path, const struct hints_reply *reply, uint64_t source)
{
	const uint64_t led = handshakes_led(source);

	if (!reply->settings->sessions || handshakes_hint(path->handshakes, led, now_s(path)) != reply->backend ||
	    handshakes_hint(path->handshakes, source, now_s(path)) == reply->backend)
		return source;
	return led;
}

static void take_answer(struct path *path, const struct hints_reply *reply, uint64_t source)
{
	const struct handshakes_datagram datagram = { source, reply->data, reply->len, now_s(path) };

	stats_add(&path->stats.answered[reply->backend], 1);
	handshakes_reply(path->handshakes, &datagram, reply->backend);
	cid_look(path, reply);
}

void hints_reply(struct path *path, const struct hints_reply *reply)
{
	const bool learns = reply->settings->learned || reply->settings->sessions;
	const bool answers = dtls_answers_hello(reply->data, reply->len);
	uint64_t source;

	if (!learns && !answers)
		return;
	source = handshakes_source(path->handshakes, reply->pool->uid, reply->device);
	if (answers)
		source = answered(path, reply, source);
	if (learns && !learn(path, reply, source) && !answers)
		(void)learn(path, reply, handshakes_led(source));
	if (answers)
		take_answer(path, reply, source);
}
