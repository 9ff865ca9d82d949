/* The `coaps` probe: one DTLS session per backend that stays open. Each probe asks it from a new port, as a device does
 * that its NAT forgot, and so proves all the time that the backend keeps a session over a change of address.
 *
 * In eighths of timeout_ms:  0, 1, 2  GET from the new port, away
 *                            3, 4     GET from home, where the last answer came, with another token
 *                            5, 6     ClientHello: an answer means that the backend is there and the session is not
 * Then a new session is begun, and its first GET goes from a new port too. Only where sessions ended at such a move it
 * goes from home: so a backend whose DTLS loses sessions and one whose CoAP is mute are told apart.
 *
 * Handshakes that fail, or lead to sessions that do not last, come at growing intervals. In between a ClientHello tells
 * life. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <event2/util.h>

#include "health/dtls_session.h"
#include "health/probe.h"
#include "health/probe_cid.h"
#include "health/probe_get.h"
#include "health/probe_hello.h"

enum {
	STEPS = 8,
	STEP_HOME = 3,
	STEP_HELLO = 5,
	STEP_SILENT = 7,
	REPEATED = 2,  /* what packet loss can feign is believed when it comes again */
	TRIES_MAX = 6, /* the interval between handshakes doubles up to 32-fold … */
};

#define TRY_US 60000000ULL /* … or to this, unless interval_ms is longer */

enum phase { PHASE_HANDSHAKE, PHASE_ASK, PHASE_HELLO };

struct coaps {
	struct probe probe;
	struct dtls_session line;

	/* the session */
	bool proven;      /* it has answered a GET */
	uint8_t silences; /* GETs in a row that it answered at home, not away */

	/* the probe that runs */
	enum phase phase;
	unsigned step;
	bool fresh;   /* it began the session */
	bool moving;  /* it asks from away */
	bool heard;   /* something came in the handshake */
	bool greeted; /* it sent a ClientHello without a session */
	struct probe_get get;

	/* all of them */
	uint8_t losses; /* sessions that ended when asked from away, since one did not */
	uint8_t tries;  /* handshakes since a session lasted */
	uint64_t tried_us;
	bool mute;       /* the last session never answered */
	bool refused;    /* the last handshake */
	uint64_t hellos; /* and aborts, without a session, so far: their record numbers rise (probe_hello.h) */
	char why[HEALTH_REASON_OCTETS]; /* there is no session */
	struct health_findings findings;
};

static struct coaps *coaps_of(struct dtls_session *line)
{
	return (struct coaps *)((char *)line - offsetof(struct coaps, line));
}

static void find_rebinding(struct coaps *coaps, enum health_finding finding, const char *reason)
{
	coaps->findings.rebinding = finding;
	snprintf(coaps->findings.rebinding_reason, sizeof coaps->findings.rebinding_reason, "%s", reason);
}

static void finish(struct coaps *coaps, bool ok, const char *reason)
{
	struct health_result result = { .ok = ok, .reason = reason, .findings = &coaps->findings };

	if (coaps->line.session && session_state(coaps->line.session) == SESSION_ESTABLISHED)
		probe_cid_judge(&coaps->findings, &coaps->probe.spec, coaps->line.cid, coaps->line.cid_len);
	/* An answer without words says that there is nothing to say. */
	if (coaps->phase == PHASE_ASK && coaps->get.answered) {
		result.words = coaps->get.words;
		result.words_len = coaps->get.words_len;
	}
	probe_finish(&coaps->probe, false, &result);
}

__attribute__((format(printf, 3, 4))) static void finish_with(struct coaps *coaps, bool ok, const char *format, ...)
{
	char reason[HEALTH_REASON_OCTETS];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof reason, format, args);
	va_end(args);
	finish(coaps, ok, reason);
}

/* A ClientHello is answered; a new session is not begun yet, or cannot be. */
static void finish_without_session(struct coaps *coaps)
{
	if (coaps->refused)
		finish(coaps, false, coaps->why);
	else
		finish_with(coaps, !coaps->mute, "answers a ClientHello; %s", coaps->why);
}

static void wake_later(struct coaps *coaps)
{
	uint64_t left_us = probe_left_us(&coaps->probe);
	uint64_t us = coaps->phase == PHASE_HANDSHAKE ? dtls_session_left_us(&coaps->line)
						      : (uint64_t)coaps->probe.spec.how.timeout_ms * 1000 / STEPS;

	probe_wake_in(&coaps->probe, us < left_us ? us : left_us);
}

/* A handshake that nobody answered costs the backend nothing, so it does not count. */
static void fail(struct coaps *coaps, int error)
{
	if (coaps->phase == PHASE_HANDSHAKE) {
		dtls_session_drop(&coaps->line);
		coaps->tries--;
	}
	probe_fail(&coaps->probe, error);
}

static bool may_begin(const struct coaps *coaps)
{
	const uint64_t interval_us = (uint64_t)coaps->probe.spec.how.interval_ms * 1000;
	uint64_t wait_us;

	if (coaps->tries == 0)
		return true;
	wait_us = interval_us << (coaps->tries - 1);
	if (wait_us > TRY_US)
		wait_us = interval_us > TRY_US ? interval_us : TRY_US;
	return probe_clock_us() - coaps->tried_us + interval_us / 4 >=
	       wait_us; /* probes are not on time to the millisecond */
}

static void say_hello(struct coaps *coaps)
{
	struct probe_port *port = probe_port_is_open(coaps->line.away) ? coaps->line.away : coaps->line.home;
	uint8_t hello[PROBE_HELLO_OCTETS], random[PROBE_HELLO_RANDOM_OCTETS];
	int error = probe_port_is_open(port) ? 0 : probe_port_open(port, &coaps->probe);

	evutil_secure_rng_get_bytes(random, sizeof random);
	probe_hello_write(hello, random);
	probe_hello_number(hello, coaps->hellos++);
	coaps->greeted = true;
	if (error == 0)
		error = probe_port_send(port, hello, sizeof hello);
	if (error == 0)
		wake_later(coaps);
	else
		fail(coaps, error);
}

static void ask(struct coaps *coaps)
{
	enum probe_get_from from = coaps->moving && coaps->step < STEP_HOME ? PROBE_GET_AWAY : PROBE_GET_HOME;
	uint8_t question[PROBE_GET_OCTETS];
	size_t len;
	int error;

	if (coaps->get.accepted || coaps->step >= STEP_SILENT || (coaps->fresh && coaps->step >= STEP_HELLO)) {
		wake_later(coaps);
		return;
	}
	if (coaps->step >= STEP_HELLO) {
		say_hello(coaps);
		return;
	}
	len = probe_get_write(&coaps->get, from, coaps->probe.spec.how.path, question);
	error = dtls_session_write(&coaps->line, from == PROBE_GET_AWAY ? coaps->line.away : coaps->line.home, question,
				   len);
	if (error == 0)
		wake_later(coaps);
	else
		fail(coaps, error);
}

/* There is a session: it is asked. */
static void begin_asking(struct coaps *coaps, bool fresh)
{
	uint8_t random[PROBE_GET_RANDOM_OCTETS];
	int error = 0;

	coaps->phase = PHASE_ASK;
	coaps->step = 0;
	coaps->fresh = fresh;
	coaps->moving = coaps->line.cid_len > 0 && !(fresh && coaps->losses > 0);
	evutil_secure_rng_get_bytes(random, sizeof random);
	probe_get_init(&coaps->get, random);
	if (coaps->moving)
		error = probe_port_open(coaps->line.away, &coaps->probe);
	if (error == 0)
		ask(coaps);
	else
		fail(coaps, error);
}

static void begin_handshake(struct coaps *coaps)
{
	int error;

	coaps->phase = PHASE_HANDSHAKE;
	coaps->heard = coaps->greeted = coaps->proven = false;
	coaps->silences = 0;
	coaps->tried_us = probe_clock_us();
	if (coaps->tries < TRIES_MAX)
		coaps->tries++;
	error = dtls_session_begin(&coaps->line);
	if (error == 0)
		wake_later(coaps);
	else
		fail(coaps, error);
}

/* The session is gone. Whether it was a move that ended it shows when it comes again. */
static void lose_session(struct coaps *coaps, const char *why)
{
	bool at_move = coaps->probe.asking && coaps->phase == PHASE_ASK && coaps->moving;

	snprintf(coaps->why, sizeof coaps->why, "%s", why);
	coaps->findings.sessions_lost++;
	coaps->mute = !coaps->proven;
	if (at_move && coaps->losses < UINT8_MAX)
		coaps->losses++;
	if (coaps->proven && coaps->losses >= REPEATED)
		find_rebinding(coaps, FINDING_BAD, "needed a handshake");
	dtls_session_drop(&coaps->line);
}

/* The backend is there, without the session. One that never answered is kept while no other may be begun: it may be
 * slow. */
static void on_session_missing(struct coaps *coaps)
{
	if (!coaps->proven && !may_begin(coaps)) {
		finish_with(coaps, false, "a session answers no GET, the server a ClientHello");
		return;
	}
	lose_session(coaps, "sessions do not last");
	if (may_begin(coaps))
		begin_handshake(coaps);
	else
		finish_with(coaps, true, "answers a ClientHello; %s", coaps->why);
}

/* Refused is dead: only a CoAP response is life. A handshake that a lost datagram may have ended is no such finding. */
static void on_handshake_failed(struct coaps *coaps)
{
	bool no_key = session_awaits_finished(coaps->line.session) && coaps->tries >= REPEATED;

	coaps->refused = dtls_session_explain(&coaps->line, coaps->why, sizeof coaps->why) || no_key;
	coaps->mute = false;
	dtls_session_drop(&coaps->line);
	finish_without_session(coaps);
}

static void on_session_ended(struct coaps *coaps)
{
	if (!coaps->probe.asking) {
		lose_session(coaps, "session closed");
	} else if (coaps->phase == PHASE_HANDSHAKE) {
		on_handshake_failed(coaps);
	} else {
		lose_session(coaps, "session closed");
		if (may_begin(coaps))
			begin_handshake(coaps);
		else
			finish_with(coaps, !coaps->mute, "session closed");
	}
}

static void judge_rebinding(struct coaps *coaps, const struct probe_port *port)
{
	bool home_asked = coaps->step >= STEP_HOME;

	if (coaps->line.cid_len == 0) {
		find_rebinding(coaps, FINDING_BAD, "CID not negotiated");
	} else if (!coaps->moving) {
		if (coaps->losses >= REPEATED)
			find_rebinding(coaps, FINDING_BAD, "needed a handshake");
	} else if (coaps->get.to == PROBE_GET_AWAY && port == coaps->line.away) {
		find_rebinding(coaps, FINDING_GOOD, "");
		coaps->silences = coaps->losses = 0;
		dtls_session_move(&coaps->line);
	} else if (coaps->get.to == PROBE_GET_AWAY && !home_asked) {
		find_rebinding(coaps, FINDING_BAD, "answered to the old port");
	} else if (++coaps->silences >= REPEATED) {
		find_rebinding(coaps, FINDING_BAD, "not answered from a new port");
		coaps->silences = REPEATED;
	}
	probe_port_close(coaps->line.away);
}

static void on_answer(struct coaps *coaps, const struct probe_port *port)
{
	coaps->proven = true;
	if (!coaps->fresh)
		coaps->tries = 0;
	judge_rebinding(coaps, port);
	finish_with(coaps, true, "%s%s", coaps->get.code,
		    coaps->fresh && coaps->findings.sessions > 1 ? " in a new session" : "");
}

static void on_give_up(struct coaps *coaps)
{
	unsigned ms = coaps->probe.spec.how.timeout_ms;

	if (coaps->phase == PHASE_HANDSHAKE && coaps->heard) {
		on_handshake_failed(coaps);
		return;
	}
	if (coaps->phase == PHASE_HANDSHAKE) {
		dtls_session_drop(&coaps->line);
		coaps->tries--;
	}
	if (coaps->phase != PHASE_ASK)
		finish_with(coaps, false, "no answer%s for %u ms", probe_way(&coaps->probe), ms);
	else if (coaps->get.accepted)
		finish_with(coaps, false, "a GET acknowledged, but not answered for %u ms", ms);
	else if (!coaps->fresh)
		finish_with(coaps, false, "no answer%s for %u ms", probe_way(&coaps->probe), ms);
	else {
		if (!coaps->moving)
			coaps->losses = 0; /* not the move: it is mute at home too */
		finish_with(coaps, false, "a handshake, but no answer to a GET for %u ms", ms);
	}
}

/* What the session came to. `port`: where something arrived, NULL: a timer. */
static void settle(struct coaps *coaps, enum session_state state, const struct probe_port *port)
{
	if (state == SESSION_CLOSED || state == SESSION_FAILED) {
		on_session_ended(coaps);
	} else if (!coaps->probe.asking) {
		return;
	} else if (coaps->phase == PHASE_HANDSHAKE && state == SESSION_ESTABLISHED) {
		coaps->findings.sessions++;
		coaps->refused = false;
		if (coaps->line.cid_len == 0)
			find_rebinding(coaps, FINDING_BAD, "CID not negotiated");
		begin_asking(coaps, true);
	} else if (coaps->phase == PHASE_ASK && coaps->get.answered) {
		on_answer(coaps, port);
	} else if (coaps->line.error != 0) {
		fail(coaps, coaps->line.error);
	} else if (coaps->phase == PHASE_HANDSHAKE) {
		wake_later(coaps);
	}
}

static void coaps_begin(struct probe *probe)
{
	struct coaps *coaps = (struct coaps *)probe;

	coaps->greeted = false;
	coaps->get.words_len = 0;
	if (coaps->line.session && session_state(coaps->line.session) != SESSION_ESTABLISHED)
		lose_session(coaps, "session failed");
	if (coaps->line.session) {
		begin_asking(coaps, false);
	} else if (may_begin(coaps)) {
		begin_handshake(coaps);
	} else {
		coaps->phase = PHASE_HELLO;
		coaps->step = 0;
		say_hello(coaps);
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
		settle(coaps, dtls_session_expire(&coaps->line), NULL);
	else if (coaps->phase == PHASE_ASK)
		ask(coaps);
	else
		say_hello(coaps);
}

static void on_deliver(struct dtls_session *line, const uint8_t *data, size_t len)
{
	uint8_t reply[COAP_HEADER_OCTETS];

	len = probe_get_read(&coaps_of(line)->get, data, len, reply);
	if (len > 0)
		dtls_session_reply(line, reply, len);
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
			on_session_missing(coaps);
		else
			finish_without_session(coaps);
		return;
	}
	if (!coaps->line.session)
		return;
	if (probe_hello_read(data, len) != PROBE_ANSWER_NONE)
		coaps->heard = true;
	settle(coaps, dtls_session_input(&coaps->line, port, data, len), port);
}

static void coaps_failed(struct probe *probe, int error)
{
	fail((struct coaps *)probe, error);
}

static int coaps_open(struct probe *probe)
{
	struct coaps *coaps = (struct coaps *)probe;

	return dtls_session_init(&coaps->line, probe, on_deliver);
}

static void coaps_close(struct probe *probe)
{
	dtls_session_free(&((struct coaps *)probe)->line);
}

const struct probe_kind probe_coaps = {
	sizeof(struct coaps), coaps_open, coaps_begin, coaps_wake, coaps_close, coaps_received, coaps_failed,
};
