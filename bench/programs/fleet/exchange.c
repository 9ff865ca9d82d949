#include "bench/programs/fleet/exchange.h"

#include <errno.h>
#include <string.h>

static bool has_token(const struct coap_message *m, const uint8_t *token, size_t token_len)
{
	return m->token_len == token_len && memcmp(m->token, token, token_len) == 0;
}

int exchange_begin(struct exchange *exchange, const struct coap_message *request, uint64_t span_ms, uint64_t now_ms)
{
	if (exchange->state != EXCHANGE_IDLE)
		return -EBUSY;
	int err = coap_encode(request, exchange->request, sizeof exchange->request, &exchange->request_len);
	if (err)
		return err;
	exchange->state = EXCHANGE_SENT;
	exchange->tries = 1;
	exchange->id = request->id;
	exchange->token_len = request->token_len;
	memcpy(exchange->token, request->token, sizeof exchange->token);
	exchange->span_ms = span_ms;
	exchange->deadline_ms = now_ms + span_ms;
	return 0;
}

void exchange_reset(struct exchange *exchange)
{
	exchange->state = EXCHANGE_IDLE;
	exchange->deadline_ms = EXCHANGE_NEVER;
}

enum exchange_due exchange_expire(struct exchange *exchange, uint64_t now_ms)
{
	if (exchange->state == EXCHANGE_IDLE || now_ms < exchange->deadline_ms)
		return EXCHANGE_WAIT;
	if (exchange->state == EXCHANGE_SENT && exchange->tries < EXCHANGE_TRIES) {
		exchange->tries++;
		exchange->span_ms *= 2;
		exchange->deadline_ms = now_ms + exchange->span_ms;
		return EXCHANGE_RESEND;
	}
	exchange_reset(exchange);
	return EXCHANGE_GIVEN_UP;
}

/* RFC 7641, section 3.4. */
static bool is_newer(const struct observation *o, uint32_t number, uint64_t now_ms)
{
	uint32_t ahead = (number - o->number) & COAP_OBSERVE_MAX;
	return (ahead > 0 && ahead < 1u << 23) || now_ms > o->heard_ms + 128000;
}

static void observation_hear(struct observation *o, uint32_t number, uint64_t now_ms)
{
	o->on = true;
	o->number = number;
	o->heard_ms = now_ms;
}

static enum exchange_event take_response(struct exchange *exchange, struct observation *o, const struct coap_message *m,
					 uint64_t now_ms)
{
	exchange_reset(exchange);
	bool answered = m->code < COAP_CODE(3, 0);
	if (has_token(m, o->token, o->token_len)) {
		o->on = false;
		if (answered && m->has_observe)
			observation_hear(o, m->observe, now_ms);
	}
	return answered ? EXCHANGE_ANSWERED : EXCHANGE_REFUSED;
}

static enum exchange_event take_notification(struct observation *o, const struct coap_message *m, uint64_t now_ms)
{
	if (m->code >= COAP_CODE(3, 0) || !m->has_observe) {
		o->on = false;
		return EXCHANGE_UNOBSERVED;
	}
	if (!is_newer(o, m->observe, now_ms))
		return EXCHANGE_NOTHING;
	observation_hear(o, m->observe, now_ms);
	return EXCHANGE_NOTIFIED;
}

/* ACK or RST: about our request, by its message id. */
static enum exchange_event take_reply(struct exchange *exchange, struct observation *o, const struct coap_message *m,
				      uint64_t now_ms)
{
	if (exchange->state == EXCHANGE_IDLE || m->id != exchange->id)
		return EXCHANGE_NOTHING;
	if (m->type == COAP_RST) {
		exchange_reset(exchange);
		return EXCHANGE_REFUSED;
	}
	if (m->code == COAP_EMPTY && exchange->state == EXCHANGE_SENT) {
		/* The server now repeats its own message, for as long as we would have. */
		uint64_t tries_left = EXCHANGE_TRIES + 1u - exchange->tries;
		exchange->state = EXCHANGE_ACKED;
		exchange->deadline_ms = now_ms + exchange->span_ms * ((UINT64_C(1) << tries_left) - 1);
	}
	if (!coap_is_response(m->code) || !has_token(m, exchange->token, exchange->token_len))
		return EXCHANGE_NOTHING;
	return take_response(exchange, o, m, now_ms);
}

enum exchange_event exchange_take(struct exchange *exchange, struct observation *observation,
				  struct exchange_input *input, uint64_t now_ms)
{
	struct coap_message m;
	input->reply_len = 0;
	if (coap_decode(&m, input->data, input->len))
		return EXCHANGE_NOTHING;
	if (m.type == COAP_ACK || m.type == COAP_RST)
		return take_reply(exchange, observation, &m, now_ms);

	struct coap_message answer = { .type = COAP_ACK, .code = COAP_EMPTY, .id = m.id };
	bool reply_due = m.type == COAP_CON;
	enum exchange_event event = EXCHANGE_NOTHING;
	bool ours = coap_is_response(m.code) && has_token(&m, exchange->token, exchange->token_len);
	if (ours && exchange->state != EXCHANGE_IDLE) {
		event = take_response(exchange, observation, &m, now_ms);
	} else if (coap_is_response(m.code) && observation->on &&
		   has_token(&m, observation->token, observation->token_len)) {
		event = take_notification(observation, &m, now_ms);
	} else if (!ours) {
		/* RFC 7252, section 4.2, and for a notification nobody waits for, RFC 7641, section 3.6. */
		answer.type = COAP_RST;
		reply_due = true;
	}
	if (reply_due && coap_encode(&answer, input->reply, sizeof input->reply, &input->reply_len))
		input->reply_len = 0;
	return event;
}
