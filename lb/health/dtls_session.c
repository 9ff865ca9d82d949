#include "health/dtls_session.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

enum { FLIGHTS = 8 /* the first retransmission comes after this part of timeout_ms */ };

static int fill_random(void *ctx, uint8_t *out, size_t len)
{
	(void)ctx;
	return getrandom(out, len, 0) == (ssize_t)len ? 0 : -EIO;
}

static uint64_t clock_ms(void)
{
	return probe_clock_us() / 1000;
}

static void on_send(void *ctx, const uint8_t *data, size_t len)
{
	struct dtls_session *line = ctx;

	line->error = probe_port_send(line->at, data, len);
}

static void on_deliver(void *ctx, const uint8_t *data, size_t len)
{
	struct dtls_session *line = ctx;

	line->deliver(line, data, len);
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

bool dtls_session_explain(const struct dtls_session *line, char *text, size_t size)
{
	const struct session *session = line->session;
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

int dtls_session_init(struct dtls_session *line, struct probe *probe,
		      void (*deliver)(struct dtls_session *line, const uint8_t *data, size_t len))
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

	*line = (struct dtls_session){ .probe = probe, .deliver = deliver };
	line->home = line->at = &line->ports[0];
	line->away = &line->ports[1];
	return session_config_new(&line->config, &options);
}

void dtls_session_free(struct dtls_session *line)
{
	line->at = line->home;
	if (line->session)
		session_close(line->session);
	dtls_session_drop(line);
	session_config_free(line->config);
}

void dtls_session_move(struct dtls_session *line)
{
	struct probe_port *old = line->home;

	probe_port_close(old);
	line->home = line->away;
	line->away = old;
}

int dtls_session_begin(struct dtls_session *line)
{
	static const struct session_callbacks callbacks = { on_send, on_deliver };
	int error;

	dtls_session_drop(line);
	error = probe_port_open(line->home, line->probe);
	if (error == 0)
		error = -session_new(&line->session, line->config, NULL, &callbacks, line);
	if (error != 0)
		return error;
	line->at = line->home;
	line->error = 0;
	session_start(line->session, clock_ms());
	return line->error;
}

void dtls_session_drop(struct dtls_session *line)
{
	session_free(line->session);
	line->session = NULL;
	line->cid_len = 0;
	probe_port_close(line->home);
	probe_port_close(line->away);
}

static enum session_state note_cid(struct dtls_session *line, enum session_state before, enum session_state state)
{
	if (before != SESSION_ESTABLISHED && state == SESSION_ESTABLISHED)
		line->cid_len = session_peer_cid(line->session, line->cid);
	return state;
}

enum session_state dtls_session_input(struct dtls_session *line, struct probe_port *port, const uint8_t *data,
				      size_t len)
{
	enum session_state before = session_state(line->session);

	line->at = port;
	line->error = 0;
	return note_cid(line, before, session_input(line->session, data, len, clock_ms()));
}

uint64_t dtls_session_left_us(const struct dtls_session *line)
{
	uint64_t at_ms = session_deadline(line->session), now_ms = clock_ms();

	if (at_ms == SESSION_NEVER)
		return UINT64_MAX;
	return at_ms > now_ms ? (at_ms - now_ms) * 1000 : 0;
}

enum session_state dtls_session_expire(struct dtls_session *line)
{
	line->error = 0;
	return session_expire(line->session, clock_ms());
}

int dtls_session_write(struct dtls_session *line, struct probe_port *port, const uint8_t *data, size_t len)
{
	int err;

	line->at = port;
	line->error = 0;
	err = session_write(line->session, data, len);
	return err ? -err : line->error;
}

void dtls_session_reply(struct dtls_session *line, const uint8_t *data, size_t len)
{
	session_write(line->session, data, len);
}
