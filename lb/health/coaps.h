/* What the parts of the `coaps` probe share: coaps.c says what it does. Private to coaps*.c. Control thread. */
#ifndef CIDLB_HEALTH_COAPS_H
#define CIDLB_HEALTH_COAPS_H

#include "health/dtls_session.h"
#include "health/probe.h"
#include "health/probe_get.h"

enum {
	COAPS_STEPS = 8,
	COAPS_STEP_HOME = 3,
	COAPS_STEP_HELLO = 5,
	COAPS_STEP_SILENT = 7,
	COAPS_REPEATED = 2, /* what packet loss can feign is believed when it comes again */
};

enum coaps_phase { PHASE_HANDSHAKE, PHASE_ASK, PHASE_HELLO };

struct coaps {
	struct probe probe;
	struct dtls_session dtls;

	/* the session */
	bool proven;      /* it has answered a GET */
	uint8_t silences; /* GETs in a row that it answered at home, not away */

	/* the probe that runs */
	enum coaps_phase phase;
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

/* coaps_finding.c: the end of a probe, and what it found. */
enum coaps_verdict { COAPS_DEAD, COAPS_ALIVE };

void coaps_find_rebinding(struct coaps *coaps, enum health_finding finding, const char *reason);

/* Judges by where the answer to a GET came, and moves the session there. */
void coaps_judge_rebinding(struct coaps *coaps, const struct probe_port *port);

/* Each of these ends the probe: the caller returns to the event loop at once (probe_finish()). */
void coaps_finish_with(struct coaps *coaps, enum coaps_verdict verdict, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A ClientHello was answered, but a new session is not begun yet, or cannot be. */
void coaps_finish_without_session(struct coaps *coaps);

/* `err`: -errno of what could not be asked. */
void coaps_fail(struct coaps *coaps, int err);

/* coaps_ask.c: the questions of a probe. */
enum coaps_age { COAPS_KEPT, COAPS_FRESH };

void coaps_wake_later(struct coaps *coaps);
void coaps_say_hello(struct coaps *coaps);

/* What the step of the running probe asks. */
void coaps_ask(struct coaps *coaps);

/* There is a session: it is asked from now on. */
void coaps_begin_asking(struct coaps *coaps, enum coaps_age age);

/* coaps_session.c: sessions begin and end. */

/* Whether a handshake is due. Those that came to nothing make the next one wait. */
bool coaps_may_begin(const struct coaps *coaps);
void coaps_begin_handshake(struct coaps *coaps);

/* Forgets a session that is gone. `why`: for reasons until there is another. */
void coaps_lose_session(struct coaps *coaps, const char *why);

/* The backend answers a ClientHello, but not in the session. */
void coaps_session_missing(struct coaps *coaps);
void coaps_handshake_failed(struct coaps *coaps);

/* Closed or failed. */
void coaps_session_ended(struct coaps *coaps);

#endif
