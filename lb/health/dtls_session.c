#include "health/dtls_session.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/clock.h"

enum { FLIGHTS = 8 /* the first retransmission comes after this part of timeout_ms */ };

static int fill_random(void *ctx, uint8_t *out, size_t len)
{
	(void)ctx;
	return getrandom(out, len, 0) == (ssize_t)len ? 0 : -EIO;
}

static void on_send(void *ctx, const uint8_t *data, size_t len)
{
	struct dtls_session *dtls = ctx;

	dtls->err = probe_port_send(dtls->at, data, len);
}

static void on_deliver(void *ctx, const uint8_t *data, size_t len)
{
	struct dtls_session *dtls = ctx;

	dtls->deliver(dtls, data, len);
}

/* RFC 5246, section 7.2.2; RFC 4279, section 6. */
static const char *hint_of(int alert)
{
	switch (alert) {
	case 20: /* bad_record_mac */
	case 51: /* decrypt_error */
		return ": is psk_key right?";
	case 40: /* handshake_failure */
		return ": does it take pre-shared keys?";
	case 115: /* unknown_psk_identity */
		return ": is psk_identity right?";
	}
	return "";
}

bool dtls_session_explain(const struct dtls_session *dtls, char *text, size_t size)
{
	const struct session *session = dtls->session;
	bool refused = session_state(session) == SESSION_FAILED;

	if (refused)
		snprintf(text, size, "handshake refused: %s%s", session_reason(session),
			 hint_of(session_alert(session)));
	else if (session_awaits_finished(session))
		snprintf(text, size, "handshake not finished: are psk_identity and psk_key right?");
	else
		snprintf(text, size, "handshake not finished in time");
	return refused;
}

int dtls_session_init(struct dtls_session *dtls, struct probe *probe,
		      void (*deliver)(struct dtls_session *dtls, const uint8_t *data, size_t len))
{
	const struct conf_health *how = &probe->spec.how;
	const struct session_options options = {
		.role = SESSION_CLIENT,
		.psk_identity = how->psk_identity,
		.psk_key = how->psk_key,
		.psk_key_len = how->psk_key_len,
		.use_cid = true,
		.all_suites = true,
		.handshake_min_ms = how->timeout_ms / FLIGHTS + 1,
		.handshake_max_ms = how->timeout_ms + 1, /* the probe gives up before */
		.random = fill_random,
	};

	*dtls = (struct dtls_session){ .probe = probe, .deliver = deliver };
	dtls->home = dtls->at = &dtls->ports[0];
	dtls->away = &dtls->ports[1];
	return session_config_new(&dtls->config, &options);
}

void dtls_session_free(struct dtls_session *dtls)
{
	dtls->at = dtls->home;
	if (dtls->session)
		session_close(dtls->session);
	dtls_session_drop(dtls);
	session_config_free(dtls->config);
}

void dtls_session_move(struct dtls_session *dtls)
{
	struct probe_port *old = dtls->home;

	probe_port_close(old);
	dtls->home = dtls->away;
	dtls->away = old;
}

int dtls_session_begin(struct dtls_session *dtls)
{
	static const struct session_callbacks callbacks = { on_send, on_deliver };
	int err;

	dtls_session_drop(dtls);
	err = probe_port_open(dtls->home, dtls->probe);
	if (!err)
		err = session_new(&dtls->session, dtls->config, NULL, &callbacks, dtls);
	if (err)
		return err;
	dtls->at = dtls->home;
	dtls->err = 0;
	session_start(dtls->session, clock_ms());
	return dtls->err;
}

void dtls_session_drop(struct dtls_session *dtls)
{
	session_free(dtls->session);
	dtls->session = NULL;
	dtls->cid_len = 0;
	probe_port_close(dtls->home);
	probe_port_close(dtls->away);
}

static enum session_state note_cid(struct dtls_session *dtls, enum session_state before, enum session_state state)
{
	if (before != SESSION_ESTABLISHED && state == SESSION_ESTABLISHED)
		dtls->cid_len = session_peer_cid(dtls->session, dtls->cid);
	return state;
}

enum session_state dtls_session_input(struct dtls_session *dtls, struct probe_port *port, const uint8_t *data,
				      size_t len)
{
	enum session_state before = session_state(dtls->session);

	dtls->at = port;
	dtls->err = 0;
	return note_cid(dtls, before, session_input(dtls->session, data, len, clock_ms()));
}

uint64_t dtls_session_left_us(const struct dtls_session *dtls)
{
	uint64_t at_ms = session_deadline(dtls->session), now_ms = clock_ms();

	if (at_ms == SESSION_NEVER)
		return UINT64_MAX;
	return at_ms > now_ms ? (at_ms - now_ms) * 1000 : 0;
}

enum session_state dtls_session_expire(struct dtls_session *dtls)
{
	dtls->err = 0;
	return session_expire(dtls->session, clock_ms());
}

int dtls_session_write(struct dtls_session *dtls, struct probe_port *port, const uint8_t *data, size_t len)
{
	int err;

	dtls->at = port;
	dtls->err = 0;
	err = session_write(dtls->session, data, len);
	return err ? err : dtls->err;
}

void dtls_session_reply(struct dtls_session *dtls, const uint8_t *data, size_t len)
{
	session_write(dtls->session, data, len);
}
