#include "health/coaps.h"

#include <stdio.h>

#include "base/clock.h"

enum { TRIES_MAX = 6 /* the interval between handshakes doubles up to 32-fold … */ };

#define TRY_US 60000000ULL /* … or to this, unless interval_ms is longer */

bool coaps_may_begin(const struct coaps *coaps)
{
	const uint64_t interval_us = (uint64_t)coaps->probe.spec.how.interval_ms * 1000;
	uint64_t wait_us;

	if (coaps->tries == 0)
		return true;
	wait_us = interval_us << (coaps->tries - 1);
	if (wait_us > TRY_US)
		wait_us = interval_us > TRY_US ? interval_us : TRY_US;
	/* Probes are not on time to the millisecond. */
	return clock_us() - coaps->tried_us + interval_us / 4 >= wait_us;
}

void coaps_begin_handshake(struct coaps *coaps)
{
	int err;

	coaps->phase = PHASE_HANDSHAKE;
	coaps->heard = coaps->greeted = coaps->proven = false;
	coaps->silences = 0;
	coaps->tried_us = clock_us();
	if (coaps->tries < TRIES_MAX)
		coaps->tries++;
	err = dtls_session_begin(&coaps->dtls);
	if (!err)
		coaps_wake_later(coaps);
	else
		coaps_fail(coaps, err);
}

/* Whether it was a move that ended the session shows when there is another. */
void coaps_lose_session(struct coaps *coaps, const char *why)
{
	bool at_move = coaps->probe.asking && coaps->phase == PHASE_ASK && coaps->moving;

	snprintf(coaps->why, sizeof coaps->why, "%s", why);
	coaps->findings.sessions_lost++;
	coaps->mute = !coaps->proven;
	if (at_move && coaps->losses < UINT8_MAX)
		coaps->losses++;
	if (coaps->proven && coaps->losses >= COAPS_REPEATED)
		coaps_find_rebinding(coaps, FINDING_BAD, "needed a handshake");
	dtls_session_drop(&coaps->dtls);
}

/* A session that never answered is kept while no other may be begun: the backend may be slow. */
void coaps_session_missing(struct coaps *coaps)
{
	if (!coaps->proven && !coaps_may_begin(coaps)) {
		coaps_finish_with(coaps, COAPS_DEAD, "a session answers no GET, the server a ClientHello");
		return;
	}
	coaps_lose_session(coaps, "sessions do not last");
	if (coaps_may_begin(coaps))
		coaps_begin_handshake(coaps);
	else
		coaps_finish_with(coaps, COAPS_ALIVE, "answers a ClientHello; %s", coaps->why);
}

/* A backend that refuses is dead: only a CoAP response is life. A handshake that a lost datagram may have ended does
 * not tell. */
void coaps_handshake_failed(struct coaps *coaps)
{
	bool no_key = session_awaits_finished(coaps->dtls.session) && coaps->tries >= COAPS_REPEATED;

	coaps->refused = dtls_session_explain(&coaps->dtls, coaps->why, sizeof coaps->why) || no_key;
	coaps->mute = false;
	dtls_session_drop(&coaps->dtls);
	coaps_finish_without_session(coaps);
}

void coaps_session_ended(struct coaps *coaps)
{
	if (!coaps->probe.asking) {
		coaps_lose_session(coaps, "session closed");
	} else if (coaps->phase == PHASE_HANDSHAKE) {
		coaps_handshake_failed(coaps);
	} else {
		coaps_lose_session(coaps, "session closed");
		if (coaps_may_begin(coaps))
			coaps_begin_handshake(coaps);
		else
			coaps_finish_with(coaps, coaps->mute ? COAPS_DEAD : COAPS_ALIVE, "session closed");
	}
}
