#include "health/coaps.h"

#include <stdarg.h>
#include <stdio.h>

#include "health/probe_cid.h"

void coaps_find_rebinding(struct coaps *coaps, enum health_finding finding, const char *reason)
{
	coaps->findings.rebinding = finding;
	snprintf(coaps->findings.rebinding_reason, sizeof coaps->findings.rebinding_reason, "%s", reason);
}

void coaps_judge_rebinding(struct coaps *coaps, const struct probe_port *port)
{
	bool home_asked = coaps->step >= COAPS_STEP_HOME;

	if (coaps->dtls.cid_len == 0) {
		coaps_find_rebinding(coaps, FINDING_BAD, "CID not negotiated");
	} else if (!coaps->moving) {
		if (coaps->losses >= COAPS_REPEATED)
			coaps_find_rebinding(coaps, FINDING_BAD, "needed a handshake");
	} else if (coaps->get.to == PROBE_GET_AWAY && port == coaps->dtls.away) {
		coaps_find_rebinding(coaps, FINDING_GOOD, "");
		coaps->silences = coaps->losses = 0;
		dtls_session_move(&coaps->dtls);
	} else if (coaps->get.to == PROBE_GET_AWAY && !home_asked) {
		coaps_find_rebinding(coaps, FINDING_BAD, "answered to the old port");
	} else if (++coaps->silences >= COAPS_REPEATED) {
		coaps_find_rebinding(coaps, FINDING_BAD, "not answered from a new port");
		coaps->silences = COAPS_REPEATED;
	}
	probe_port_close(coaps->dtls.away);
}

static void finish(struct coaps *coaps, enum coaps_verdict verdict, const char *reason)
{
	struct health_result result = { .ok = verdict == COAPS_ALIVE, .reason = reason, .findings = &coaps->findings };

	if (coaps->dtls.session && session_state(coaps->dtls.session) == SESSION_ESTABLISHED)
		probe_cid_judge(&coaps->findings, &coaps->probe.spec, coaps->dtls.cid, coaps->dtls.cid_len);
	/* Also without words: then the backend has nothing to say. */
	if (coaps->phase == PHASE_ASK && coaps->get.answered) {
		result.words = coaps->get.words;
		result.words_len = coaps->get.words_len;
	}
	probe_finish(&coaps->probe, &result);
}

void coaps_finish_with(struct coaps *coaps, enum coaps_verdict verdict, const char *format, ...)
{
	char reason[HEALTH_REASON_OCTETS];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof reason, format, args);
	va_end(args);
	finish(coaps, verdict, reason);
}

void coaps_finish_without_session(struct coaps *coaps)
{
	if (coaps->refused)
		finish(coaps, COAPS_DEAD, coaps->why);
	else
		coaps_finish_with(coaps, coaps->mute ? COAPS_DEAD : COAPS_ALIVE, "answers a ClientHello; %s",
				  coaps->why);
}

/* A handshake that nobody answered costs the backend nothing, so it does not count. */
void coaps_fail(struct coaps *coaps, int err)
{
	if (coaps->phase == PHASE_HANDSHAKE) {
		dtls_session_drop(&coaps->dtls);
		coaps->tries--;
	}
	probe_fail(&coaps->probe, err);
}
