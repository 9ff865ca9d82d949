/* The `coaps` probe: one DTLS session per backend that stays open. Each probe asks it from a new port, as a device does
 * whose NAT has forgotten it. This proves all the time that the backend keeps a session over a change of address.
 *
 * In eighths of timeout_ms:  0, 1, 2  GET from the new port, away
 *                            3, 4     GET from home, where the last answer came, with another token
 *                            5, 6     ClientHello, away: an answer means that the backend is there and the session
 *                                     is not
 *
 * Then a new session is begun. Its first GET goes from a new port, too. Only where sessions ended at such a move it
 * goes from home. This tells a backend whose DTLS loses sessions from one whose CoAP is mute.
 *
 * Handshakes that fail, or lead to sessions that do not last, come at growing intervals. In between a ClientHello shows
 * whether the backend is alive. */

#include "health/coaps.h"

#include <stddef.h>
#include <string.h>

#include "health/probe_hello.h"

static struct coaps *coaps_of(struct dtls_session *dtls)
{
	return (struct coaps *)((char *)dtls - offsetof(struct coaps, dtls));
}

static void on_answer(struct coaps *coaps, const struct probe_port *port)
{
	coaps->proven = true;
	if (!coaps->fresh)
		coaps->tries = 0;
	coaps_judge_rebinding(coaps, port);
	coaps_finish_with(coaps, COAPS_ALIVE, "%s%s", coaps->get.code,
			  coaps->fresh && coaps->findings.sessions > 1 ? " in a new session" : "");
}

static void on_give_up(struct coaps *coaps)
{
	unsigned ms = coaps->probe.spec.how.timeout_ms;

	if (coaps->phase == PHASE_HANDSHAKE && coaps->heard) {
		coaps_handshake_failed(coaps);
		return;
	}
	if (coaps->phase == PHASE_HANDSHAKE) {
		dtls_session_drop(&coaps->dtls);
		coaps->tries--;
	}
	if (coaps->phase != PHASE_ASK)
		coaps_finish_with(coaps, COAPS_DEAD, "no answer%s for %u ms", probe_way(&coaps->probe), ms);
	else if (coaps->get.accepted)
		coaps_finish_with(coaps, COAPS_DEAD, "a GET acknowledged, but not answered for %u ms", ms);
	else if (!coaps->fresh)
		coaps_finish_with(coaps, COAPS_DEAD, "no answer%s for %u ms", probe_way(&coaps->probe), ms);
	else {
		if (!coaps->moving)
			coaps->losses = 0; /* not the move: it is mute at home too */
		coaps_finish_with(coaps, COAPS_DEAD, "a handshake, but no answer to a GET for %u ms", ms);
	}
}

/* What the session came to. `port`: where something arrived, NULL: a timer. */
static void settle(struct coaps *coaps, enum session_state state, const struct probe_port *port)
{
	if (state == SESSION_CLOSED || state == SESSION_FAILED) {
		coaps_session_ended(coaps);
	} else if (!coaps->probe.asking) {
		return;
	} else if (coaps->phase == PHASE_HANDSHAKE && state == SESSION_ESTABLISHED) {
		coaps->findings.sessions++;
		coaps->refused = false;
		if (coaps->dtls.cid_len == 0)
			coaps_find_rebinding(coaps, FINDING_BAD, "CID not negotiated");
		coaps_begin_asking(coaps, COAPS_FRESH);
	} else if (coaps->phase == PHASE_ASK && coaps->get.answered) {
		on_answer(coaps, port);
	} else if (coaps->dtls.err) {
		coaps_fail(coaps, coaps->dtls.err);
	} else if (coaps->phase == PHASE_HANDSHAKE) {
		coaps_wake_later(coaps);
	}
}

static void coaps_begin(struct probe *probe)
{
	struct coaps *coaps = (struct coaps *)probe;

	coaps->greeted = false;
	coaps->get.words_len = 0;
	if (coaps->dtls.session && session_state(coaps->dtls.session) != SESSION_ESTABLISHED)
		coaps_lose_session(coaps, "session failed");
	if (coaps->dtls.session) {
		coaps_begin_asking(coaps, COAPS_KEPT);
	} else if (coaps_may_begin(coaps)) {
		coaps_begin_handshake(coaps);
	} else {
		coaps->phase = PHASE_HELLO;
		coaps->step = 0;
		probe_port_close(coaps->dtls.away); /* the next one is new: dtls.c */
		coaps_say_hello(coaps);
	}
}

static void coaps_wake(struct probe *probe)
{
	struct coaps *coaps = (struct coaps *)probe;

	if (probe_left_us(probe) == 0) {
		on_give_up(coaps);
		return;
	}
	coaps->step++;
	if (coaps->phase == PHASE_HANDSHAKE)
		settle(coaps, dtls_session_expire(&coaps->dtls), NULL);
	else if (coaps->phase == PHASE_ASK)
		coaps_ask(coaps);
	else
		coaps_say_hello(coaps);
}

static void on_deliver(struct dtls_session *dtls, const uint8_t *data, size_t len)
{
	uint8_t reply[COAP_HEADER_OCTETS];

	len = probe_get_read(&coaps_of(dtls)->get, data, len, reply);
	if (len > 0)
		dtls_session_reply(dtls, reply, len);
}

/* Whether it answers a ClientHello of ours. */
static bool is_hello_answer(struct coaps *coaps, const struct probe_port *port, const uint8_t *data, size_t len)
{
	uint8_t alert[PROBE_ABORT_OCTETS];
	enum probe_answer answer;

	if (!coaps->greeted || !coaps->probe.asking)
		return false;
	answer = probe_hello_read(data, len);
	if (answer == PROBE_ANSWER_SERVER_HELLO) {
		memcpy(alert, probe_hello_abort, sizeof alert);
		probe_hello_number(alert, coaps->hellos++);
		probe_port_send(port, alert, sizeof alert);
	}
	return answer == PROBE_ANSWER_SERVER_HELLO || answer == PROBE_ANSWER_RETRY || answer == PROBE_ANSWER_ALERT;
}

static void coaps_received(struct probe *probe, struct probe_port *port, const uint8_t *data, size_t len)
{
	struct coaps *coaps = (struct coaps *)probe;

	if (is_hello_answer(coaps, port, data, len)) {
		if (coaps->phase == PHASE_ASK)
			coaps_session_missing(coaps);
		else
			coaps_finish_without_session(coaps);
		return;
	}
	if (!coaps->dtls.session)
		return;
	if (probe_hello_read(data, len) != PROBE_ANSWER_NONE)
		coaps->heard = true;
	settle(coaps, dtls_session_input(&coaps->dtls, port, data, len), port);
}

static void coaps_failed(struct probe *probe, int err)
{
	coaps_fail((struct coaps *)probe, err);
}

static int coaps_open(struct probe *probe)
{
	struct coaps *coaps = (struct coaps *)probe;

	return dtls_session_init(&coaps->dtls, probe, on_deliver);
}

static void coaps_close(struct probe *probe)
{
	dtls_session_free(&((struct coaps *)probe)->dtls);
}

const struct probe_kind probe_coaps = {
	.octets = sizeof(struct coaps),
	.open = coaps_open,
	.begin = coaps_begin,
	.wake = coaps_wake,
	.close = coaps_close,
	.received = coaps_received,
	.failed = coaps_failed,
};
