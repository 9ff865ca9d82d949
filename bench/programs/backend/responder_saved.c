/* A responder's state as octets. Times are what is left of them: the next process has another clock. */
#include "bench/programs/backend/responder.h"

enum { LEFT_MAX_MS = 86400000 /* the longest period of notifications */ };

static void save_left(struct pack *out, uint64_t at_ms, uint64_t now_ms)
{
	pack_number(out, at_ms > now_ms ? at_ms - now_ms : 0, 4);
}

static uint64_t load_left(struct unpack *in, uint64_t now_ms)
{
	return now_ms + unpack_number(in, 4, LEFT_MAX_MS);
}

static void save_confirmable(struct pack *out, const struct confirmable *con, uint64_t now_ms)
{
	pack_number(out, con->waiting, 1);
	if (!con->waiting)
		return;
	pack_number(out, con->transmissions, 1);
	pack_number(out, con->id, 2);
	save_left(out, con->due_ms, now_ms);
	pack_number(out, con->timeout_ms, 4);
	pack_number(out, con->len, 2);
	pack_octets(out, con->octets, con->len);
}

static void load_confirmable(struct unpack *in, struct confirmable *con, uint64_t now_ms)
{
	con->waiting = unpack_number(in, 1, true);
	if (!con->waiting)
		return;
	con->transmissions = (unsigned)unpack_number(in, 1, RESPONDER_TRANSMISSIONS);
	con->id = (uint16_t)unpack_number(in, 2, UINT16_MAX);
	con->due_ms = load_left(in, now_ms);
	con->timeout_ms = (uint32_t)unpack_number(in, 4, LEFT_MAX_MS);
	con->len = (uint16_t)unpack_number(in, 2, RESPONDER_CON_OCTETS);
	unpack_octets(in, con->octets, con->len);
}

static void save_reply(struct pack *out, const struct reply *reply)
{
	pack_number(out, reply->used, 1);
	if (!reply->used)
		return;
	pack_number(out, reply->id, 2);
	pack_number(out, reply->len, 2);
	pack_octets(out, reply->octets, reply->len);
}

static void load_reply(struct unpack *in, struct reply *reply)
{
	reply->used = unpack_number(in, 1, true);
	if (!reply->used)
		return;
	reply->id = (uint16_t)unpack_number(in, 2, UINT16_MAX);
	reply->len = (uint16_t)unpack_number(in, 2, RESPONDER_REPLY_OCTETS);
	unpack_octets(in, reply->octets, reply->len);
}

void responder_save(const struct responder *responder, struct pack *out, uint64_t now_ms)
{
	pack_number(out, responder->next_id, 2);
	for (unsigned i = 0; i < RESPONDER_REPLIES; i++) /* the oldest first */
		save_reply(out, &responder->replies[(responder->next_reply + i) % RESPONDER_REPLIES]);
	pack_number(out, responder->sequence, 3);
	pack_number(out, responder->observed, 1);
	if (responder->observed) {
		pack_number(out, responder->token_len, 1);
		pack_octets(out, responder->token, responder->token_len);
		save_left(out, responder->notify_at_ms, now_ms);
	}
	save_confirmable(out, &responder->notification, now_ms);
	save_confirmable(out, &responder->slow, now_ms);
}

void responder_load(struct responder *responder, struct unpack *in, uint64_t now_ms)
{
	responder->next_id = (uint16_t)unpack_number(in, 2, UINT16_MAX);
	for (unsigned i = 0; i < RESPONDER_REPLIES; i++)
		load_reply(in, &responder->replies[i]);
	responder->sequence = (uint32_t)unpack_number(in, 3, COAP_OBSERVE_MAX);
	responder->observed = unpack_number(in, 1, true);
	if (responder->observed) {
		responder->token_len = (uint8_t)unpack_number(in, 1, COAP_TOKEN_MAX);
		unpack_octets(in, responder->token, responder->token_len);
		responder->notify_at_ms = load_left(in, now_ms);
	}
	load_confirmable(in, &responder->notification, now_ms);
	load_confirmable(in, &responder->slow, now_ms);
}
