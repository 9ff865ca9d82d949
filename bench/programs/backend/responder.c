#include "bench/programs/backend/responder.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	ACK_TIMEOUT_MS = 2000, /* RFC 7252, section 4.8 */
	ACK_RANDOM_MS = 1000,  /* ACK_RANDOM_FACTOR 1.5 */
	SLOW_MS = 300,
	MESSAGE_OCTETS = 2048, /* longest answer; a longer echo is answered 4.13 */
};

#define REQUEST_ENTITY_TOO_LARGE COAP_CODE(4, 13)
#define SERVICE_UNAVAILABLE      COAP_CODE(5, 3)

void responder_init(struct responder *responder, const struct service *service, uint64_t seed,
		    void (*write)(void *ctx, const uint8_t *data, size_t len), void *ctx)
{
	*responder = (struct responder){ .service = service, .write = write, .ctx = ctx, .dice = { seed } };
	responder->next_id = (uint16_t)dice_roll(&responder->dice);
}

static void send_empty(struct responder *responder, enum coap_type type, uint16_t id)
{
	const struct coap_message message = { .type = type, .code = COAP_EMPTY, .id = id };
	uint8_t octets[COAP_HEADER_OCTETS];
	size_t len;

	if (coap_encode(&message, octets, sizeof octets, &len) == 0)
		responder->write(responder->ctx, octets, len);
}

static struct reply *find_reply(struct responder *responder, uint16_t id)
{
	for (size_t i = 0; i < RESPONDER_REPLIES; i++)
		if (responder->replies[i].used && responder->replies[i].id == id)
			return &responder->replies[i];
	return NULL;
}

/* A reply that is too long to be kept is made again: every resource but /slow answers a repeated request the same
 * way. */
static void send_reply(struct responder *responder, const struct coap_message *request, const uint8_t *octets,
		       size_t len)
{
	if (len <= RESPONDER_REPLY_OCTETS) {
		struct reply *reply = &responder->replies[responder->next_reply++ % RESPONDER_REPLIES];
		*reply = (struct reply){ .used = true, .id = request->id };
		if (request->type == COAP_CON) {
			reply->len = (uint16_t)len;
			memcpy(reply->octets, octets, len);
		}
	}
	if (len)
		responder->write(responder->ctx, octets, len);
}

static void answer(struct responder *responder, const struct coap_message *request, struct coap_message *response)
{
	uint8_t octets[MESSAGE_OCTETS];
	size_t len;
	bool piggybacked = request->type == COAP_CON;

	response->type = piggybacked ? COAP_ACK : COAP_NON;
	response->id = piggybacked ? request->id : responder->next_id++;
	response->token_len = request->token_len;
	memcpy(response->token, request->token, request->token_len);
	if (coap_encode(response, octets, sizeof octets, &len) == -ENOSPC) {
		response->code = REQUEST_ENTITY_TOO_LARGE;
		response->payload_len = 0;
		if (coap_encode(response, octets, sizeof octets, &len))
			return;
	}
	send_reply(responder, request, octets, len);
}

static void answer_code(struct responder *responder, const struct coap_message *request, uint8_t code)
{
	struct coap_message response = { .code = code };

	answer(responder, request, &response);
}

/* Sends `message` as CON, first after delay_ms, until acknowledged. */
static void confirm(struct responder *responder, struct confirmable *con, struct coap_message *message, uint64_t at_ms)
{
	size_t len;

	message->type = COAP_CON;
	message->id = responder->next_id++;
	*con = (struct confirmable){ .id = message->id, .due_ms = at_ms };
	con->timeout_ms = ACK_TIMEOUT_MS + (uint32_t)(dice_roll(&responder->dice) % (ACK_RANDOM_MS + 1));
	if (coap_encode(message, con->octets, sizeof con->octets, &len))
		return;
	con->len = (uint16_t)len;
	con->waiting = true;
}

/* Returns false when the message was given up. */
static bool transmit_due(struct responder *responder, struct confirmable *con, uint64_t now_ms)
{
	if (!con->waiting || now_ms < con->due_ms)
		return true;
	if (con->transmissions >= RESPONDER_TRANSMISSIONS) {
		con->waiting = false;
		return false;
	}
	con->due_ms = now_ms + ((uint64_t)con->timeout_ms << con->transmissions);
	con->transmissions++;
	responder->write(responder->ctx, con->octets, con->len);
	return true;
}

static void put_time(struct coap_message *message, char text[static 24])
{
	message->code = COAP_CONTENT;
	message->has_format = true;
	message->format = COAP_FORMAT_TEXT;
	message->payload = (const uint8_t *)text;
	message->payload_len = (size_t)snprintf(text, 24, "%" PRIu64, (uint64_t)time(NULL));
}

static void stop_observation(struct responder *responder)
{
	responder->observed = false;
	responder->notification.waiting = false;
}

static void put_observe(struct responder *responder, struct coap_message *message)
{
	message->has_observe = true;
	message->observe = responder->sequence = (responder->sequence + 1) & COAP_OBSERVE_MAX;
}

static void get_time(struct responder *responder, const struct coap_message *request, uint64_t now_ms)
{
	struct coap_message response = { 0 };
	char text[24];

	if (request->has_observe && request->observe == COAP_OBSERVE_REGISTER) {
		stop_observation(responder);
		responder->observed = true;
		responder->token_len = request->token_len;
		memcpy(responder->token, request->token, request->token_len);
		responder->notify_at_ms = now_ms + responder->service->notify_ms;
		put_observe(responder, &response);
	} else if (request->has_observe && request->observe == COAP_OBSERVE_DEREGISTER) {
		if (responder->token_len == request->token_len &&
		    memcmp(responder->token, request->token, request->token_len) == 0)
			stop_observation(responder);
	}
	put_time(&response, text);
	answer(responder, request, &response);
}

/* A notification that is still waiting for its ACK stands for the next one: NSTART is 1 (RFC 7641, section 4.5.1). */
static void notify(struct responder *responder, uint64_t now_ms)
{
	struct coap_message message = { .token_len = responder->token_len };
	char text[24];

	responder->notify_at_ms = now_ms + responder->service->notify_ms;
	if (responder->notification.waiting)
		return;
	memcpy(message.token, responder->token, responder->token_len);
	put_observe(responder, &message);
	put_time(&message, text);
	confirm(responder, &responder->notification, &message, now_ms);
	responder->service->report->notifications++;
}

static void echo(struct responder *responder, const struct coap_message *request)
{
	struct coap_message response = {
		.code = request->code == COAP_POST ? COAP_CHANGED : COAP_CONTENT,
		.has_format = request->has_format,
		.format = request->format,
		.payload = request->payload,
		.payload_len = request->payload_len,
	};

	answer(responder, request, &response);
}

static void get_slow(struct responder *responder, const struct coap_message *request, uint64_t now_ms)
{
	static const uint8_t text[] = { 's', 'l', 'o', 'w' };
	struct coap_message response = {
		.code = COAP_CONTENT,
		.token_len = request->token_len,
		.has_format = true,
		.format = COAP_FORMAT_TEXT,
		.payload = text,
		.payload_len = sizeof text,
	};
	const struct coap_message ack = { .type = COAP_ACK, .code = COAP_EMPTY, .id = request->id };
	uint8_t octets[COAP_HEADER_OCTETS];
	size_t len = 0;

	if (responder->slow.waiting) {
		answer_code(responder, request, SERVICE_UNAVAILABLE);
		return;
	}
	memcpy(response.token, request->token, request->token_len);
	confirm(responder, &responder->slow, &response, now_ms + SLOW_MS);
	if (request->type == COAP_CON && coap_encode(&ack, octets, sizeof octets, &len))
		return;
	send_reply(responder, request, octets, len);
}

static void get_service(struct responder *responder, const struct coap_message *request)
{
	char text[SERVICE_TEXT_OCTETS];
	struct coap_message response = {
		.code = COAP_CONTENT,
		.has_format = true,
		.format = COAP_FORMAT_TEXT,
		.payload = (const uint8_t *)text,
		.payload_len = service_describe(responder->service, text),
	};

	answer(responder, request, &response);
}

static void serve(struct responder *responder, const struct coap_message *request, uint64_t now_ms)
{
	bool get = request->code == COAP_GET;

	responder->service->report->requests++;
	if (request->bad_option)
		answer_code(responder, request, COAP_BAD_OPTION);
	else if (strcmp(request->path, "/echo") == 0 && (get || request->code == COAP_POST))
		echo(responder, request);
	else if (strcmp(request->path, "/time") == 0 && get)
		get_time(responder, request, now_ms);
	else if (strcmp(request->path, "/slow") == 0 && get)
		get_slow(responder, request, now_ms);
	else if (strcmp(request->path, "/.well-known/cidlb") == 0 && get)
		get_service(responder, request);
	else if (strcmp(request->path, "/echo") == 0 || strcmp(request->path, "/time") == 0 ||
		 strcmp(request->path, "/slow") == 0 || strcmp(request->path, "/.well-known/cidlb") == 0)
		answer_code(responder, request, COAP_METHOD_NOT_ALLOWED);
	else
		answer_code(responder, request, COAP_NOT_FOUND);
}

static void settle(struct responder *responder, const struct coap_message *message)
{
	if (responder->slow.waiting && responder->slow.id == message->id)
		responder->slow.waiting = false;
	if (!responder->notification.waiting || responder->notification.id != message->id)
		return;
	responder->notification.waiting = false;
	if (message->type == COAP_RST)
		stop_observation(responder);
}

void responder_input(struct responder *responder, const uint8_t *data, size_t len, uint64_t now_ms)
{
	struct coap_message message;
	int err = coap_decode(&message, data, len);

	if (!err && (message.type == COAP_ACK || message.type == COAP_RST)) {
		if (message.code == COAP_EMPTY)
			settle(responder, &message);
		return;
	}
	if (err || !coap_is_request(message.code)) {
		if (message.type == COAP_CON && len >= COAP_HEADER_OCTETS && data[0] >> 6 == 1)
			send_empty(responder, COAP_RST, message.id);
		return;
	}
	const struct reply *reply = find_reply(responder, message.id);
	if (!reply)
		serve(responder, &message, now_ms);
	else if (reply->len)
		responder->write(responder->ctx, reply->octets, reply->len);
	responder_expire(responder, now_ms);
}

static uint64_t sooner(uint64_t at_ms, uint64_t other_ms)
{
	return other_ms < at_ms ? other_ms : at_ms;
}

uint64_t responder_deadline(const struct responder *responder)
{
	uint64_t at_ms = RESPONDER_NEVER;

	if (responder->observed)
		at_ms = sooner(at_ms, responder->notify_at_ms);
	if (responder->notification.waiting)
		at_ms = sooner(at_ms, responder->notification.due_ms);
	if (responder->slow.waiting)
		at_ms = sooner(at_ms, responder->slow.due_ms);
	return at_ms;
}

void responder_expire(struct responder *responder, uint64_t now_ms)
{
	if (responder->observed && now_ms >= responder->notify_at_ms)
		notify(responder, now_ms);
	if (!transmit_due(responder, &responder->notification, now_ms))
		stop_observation(responder);
	transmit_due(responder, &responder->slow, now_ms);
}
