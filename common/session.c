#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/error.h>
#include <mbedtls/ssl.h>

#include "dtls.h"
#include "session_priv.h"

_Static_assert(SESSION_CID_MAX == MBEDTLS_SSL_CID_IN_LEN_MAX && SESSION_CID_MAX == MBEDTLS_SSL_CID_OUT_LEN_MAX,
	       "one CID buffer for both");
_Static_assert(SESSION_PLAIN_MAX == MBEDTLS_SSL_IN_CONTENT_LEN && SESSION_PLAIN_MAX == MBEDTLS_SSL_OUT_CONTENT_LEN,
	       "one read empties a record");

enum {
	EPOCH_AT = 3, /* RFC 6347, section 4.1: type 1, version 2, epoch 2, sequence number 6, length 2 */
	LENGTH_OCTETS = 2,
	RECORD_MAX = DTLS_HEADER_OCTETS + SESSION_CID_MAX + SESSION_PLAIN_MAX + 2048,
	CLIENT_HELLO = 1,
	CLIENT_KEY_EXCHANGE = 16,
	ALERT_OCTETS = 2, /* RFC 5246, section 7.2: level, description */
	ALERT_FATAL = 2,
	ALERT_NONE = -1,
};

static void set_timer(void *ctx, uint32_t step_ms, uint32_t final_ms)
{
	struct session *session = ctx;

	session->step_at_ms = final_ms ? session->now_ms + step_ms : SESSION_NEVER;
	session->final_at_ms = final_ms ? session->now_ms + final_ms : SESSION_NEVER;
}

static int get_timer(void *ctx)
{
	const struct session *session = ctx;

	if (session->final_at_ms == SESSION_NEVER)
		return -1;
	if (session->now_ms >= session->final_at_ms)
		return 2;
	return session->now_ms >= session->step_at_ms;
}

static int send_datagram(void *ctx, const unsigned char *data, size_t len)
{
	struct session *session = ctx;

	session->sent = true;
	session->key_exchanged |= data[0] == DTLS_HANDSHAKE && len > DTLS_HEADER_OCTETS &&
				  data[DTLS_HEADER_OCTETS] == CLIENT_KEY_EXCHANGE;
	session->callbacks.send(session->ctx, data, len);
	return (int)len;
}

static uint64_t record_number(const uint8_t *record)
{
	uint64_t number = 0;

	for (size_t i = 0; i < 8; i++)
		number = number << 8 | record[EPOCH_AT + i];
	return number;
}

static bool record_is_protected(const uint8_t *record)
{
	return record[EPOCH_AT] || record[EPOCH_AT + 1];
}

static bool record_is_hello(const uint8_t *record, size_t len)
{
	return len > DTLS_HEADER_OCTETS && record[0] == DTLS_HANDSHAKE && !record_is_protected(record) &&
	       record[DTLS_HEADER_OCTETS] == CLIENT_HELLO;
}

static void note_alert(struct session *session, const uint8_t *record, size_t len)
{
	if (record[0] == DTLS_ALERT && !record_is_protected(record) && len == DTLS_HEADER_OCTETS + ALERT_OCTETS &&
	    record[DTLS_HEADER_OCTETS] == ALERT_FATAL)
		session->alert = record[DTLS_HEADER_OCTETS + 1];
}

/* Octets of the record at the start of `data`. 0: there is none, and the rest of the datagram is worthless. */
static size_t record_octets(const struct session *session, const uint8_t *data, size_t len)
{
	size_t header = DTLS_HEADER_OCTETS;

	if (len < header || data[0] < DTLS_CHANGE_CIPHER_SPEC || data[0] > DTLS_TLS12_CID)
		return 0;
	if (data[0] == DTLS_TLS12_CID) {
		if (!session->config->cid_length)
			return 0;
		header += session->config->cid_length;
		if (len < header)
			return 0;
	}
	size_t octets = header + (size_t)(data[header - LENGTH_OCTETS] << 8 | data[header - 1]);
	return octets <= len && octets <= RECORD_MAX ? octets : 0;
}

/* Hands out one record per call, so that in_number belongs to the plaintext that mbedtls_ssl_read() then returns. */
static int receive_record(void *ctx, unsigned char *out, size_t size)
{
	struct session *session = ctx;

	while (session->in_len) {
		const uint8_t *record = session->in;
		size_t octets = record_octets(session, record, session->in_len);
		if (!octets) {
			session->in_len = 0;
			break;
		}
		session->in += octets;
		session->in_len -= octets;
		/* mbedTLS would drop an established session for a ClientHello with a valid cookie. Here that is another
		 * session. */
		if (octets > size || (session->state == SESSION_ESTABLISHED && record_is_hello(record, octets)))
			continue;
		session->in_number = record_number(record);
		note_alert(session, record, octets);
		memcpy(out, record, octets);
		return (int)octets;
	}
	return MBEDTLS_ERR_SSL_WANT_READ;
}

int session_new(struct session **out, struct session_config *config, const uint8_t *own_cid,
		const struct session_callbacks *callbacks, void *ctx)
{
	struct session *session = calloc(1, sizeof *session);
	if (!session)
		return -ENOMEM;
	session->config = config;
	session->callbacks = *callbacks;
	session->ctx = ctx;
	session->state = config->role == SESSION_SERVER ? SESSION_LISTENING : SESSION_HANDSHAKING;
	session->step_at_ms = session->final_at_ms = SESSION_NEVER;
	session->alert = ALERT_NONE;
	mbedtls_ssl_init(&session->ssl);
	if (mbedtls_ssl_setup(&session->ssl, &config->ssl) != 0 ||
	    (config->use_cid &&
	     mbedtls_ssl_set_cid(&session->ssl, MBEDTLS_SSL_CID_ENABLED, own_cid, config->cid_length) != 0) ||
	    /* Of a client that verifies mbedTLS wants to hear that no name is asked. */
	    mbedtls_ssl_set_hostname(&session->ssl, NULL) != 0) {
		session_free(session);
		return -ENOMEM;
	}
	mbedtls_ssl_set_bio(&session->ssl, session, send_datagram, receive_record, NULL);
	mbedtls_ssl_set_timer_cb(&session->ssl, session, set_timer, get_timer);
	*out = session;
	return 0;
}

void session_free(struct session *session)
{
	if (!session)
		return;
	mbedtls_ssl_free(&session->ssl);
	free(session);
}

int session_set_peer(struct session *session, const uint8_t *id, size_t len)
{
	return mbedtls_ssl_set_client_transport_id(&session->ssl, id, len) == 0 ? 0 : -ENOMEM;
}

static void verified(struct session *session)
{
	if (session->in_number > session->newest)
		session->newest = session->in_number;
}

/* Calls mbedTLS once. True if another call may get further. */
static bool step(struct session *session)
{
	uint8_t plain[SESSION_PLAIN_MAX];
	size_t before = session->in_len;
	int result;

	if (session->state == SESSION_HANDSHAKING) {
		result = mbedtls_ssl_handshake(&session->ssl);
		if (!result) {
			session->state = SESSION_ESTABLISHED;
			verified(session);
			return true;
		}
	} else {
		result = mbedtls_ssl_read(&session->ssl, plain, sizeof plain);
		if (result > 0) {
			verified(session);
			session->callbacks.deliver(session->ctx, plain, (size_t)result);
			return session->state == SESSION_ESTABLISHED;
		}
	}
	if (result == MBEDTLS_ERR_SSL_WANT_READ)
		return session->in_len && session->in_len < before;
	session->state = result == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY ? SESSION_CLOSED : SESSION_FAILED;
	session->error = result;
	return false;
}

/* A listening session is reset unless its answer was a ServerHello, which takes a verified cookie. */
static void listen_step(struct session *session)
{
	if (record_octets(session, session->in, session->in_len) && record_is_hello(session->in, session->in_len) &&
	    mbedtls_ssl_handshake(&session->ssl) == MBEDTLS_ERR_SSL_WANT_READ && session->sent)
		session->state = SESSION_HANDSHAKING;
	else if (mbedtls_ssl_session_reset(&session->ssl) != 0)
		session->state = SESSION_FAILED;
}

static bool is_live(const struct session *session)
{
	return session->state == SESSION_HANDSHAKING || session->state == SESSION_ESTABLISHED;
}

enum session_state session_start(struct session *session, uint64_t now_ms)
{
	session->now_ms = now_ms;
	if (session->state == SESSION_HANDSHAKING)
		step(session);
	return session->state;
}

enum session_state session_input(struct session *session, const uint8_t *data, size_t len, uint64_t now_ms)
{
	session_expire(session, now_ms);
	session->sent = false;
	session->in = data;
	session->in_len = len;
	if (session->state == SESSION_LISTENING)
		listen_step(session);
	else
		while (is_live(session) && step(session))
			;
	session->in_len = 0;
	return session->state;
}

uint64_t session_deadline(const struct session *session)
{
	return is_live(session) ? session->final_at_ms : SESSION_NEVER;
}

enum session_state session_expire(struct session *session, uint64_t now_ms)
{
	session->now_ms = now_ms;
	if (now_ms >= session_deadline(session))
		step(session);
	return session->state;
}

int session_write(struct session *session, const uint8_t *data, size_t len)
{
	if (session->state != SESSION_ESTABLISHED)
		return -ENOTCONN;
	if (len > SESSION_PLAIN_MAX)
		return -EMSGSIZE;
	int err = mbedtls_ssl_write(&session->ssl, data, len);
	if (err != (int)len) {
		session->state = SESSION_FAILED;
		session->error = err;
		return -EIO;
	}
	return 0;
}

void session_close(struct session *session)
{
	if (session->state != SESSION_ESTABLISHED)
		return;
	mbedtls_ssl_close_notify(&session->ssl);
	session->state = SESSION_CLOSED;
}

enum session_state session_state(const struct session *session)
{
	return session->state;
}

/* RFC 5246, section 7.2.2; RFC 4279, section 6; RFC 8446, section 6.2. */
static const char *alert_name(int alert)
{
	static const struct {
		int alert;
		const char *name;
	} names[] = {
		{ 10, "unexpected_message" },    { 20, "bad_record_mac" },         { 22, "record_overflow" },
		{ 40, "handshake_failure" },     { 47, "illegal_parameter" },      { 49, "access_denied" },
		{ 50, "decode_error" },          { 51, "decrypt_error" },          { 70, "protocol_version" },
		{ 71, "insufficient_security" }, { 80, "internal_error" },         { 90, "user_canceled" },
		{ 109, "missing_extension" },    { 110, "unsupported_extension" }, { 115, "unknown_psk_identity" },
		{ 116, "certificate_required" },
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].alert == alert)
			return names[i].name;
	return "fatal alert";
}

const char *session_reason(const struct session *session)
{
	const char *text;

	if (session->state != SESSION_FAILED)
		return NULL;
	switch (session->error) {
	case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
		return alert_name(session->alert);
	case MBEDTLS_ERR_SSL_TIMEOUT:
		return "no answer";
	default:
		text = mbedtls_high_level_strerr(session->error);
		return text ? text : "out of memory";
	}
}

int session_alert(const struct session *session)
{
	return session->state == SESSION_FAILED && session->error == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE
		       ? session->alert
		       : ALERT_NONE;
}

bool session_awaits_finished(const struct session *session)
{
	return session->state == SESSION_HANDSHAKING && session->key_exchanged;
}

size_t session_peer_cid(struct session *session, uint8_t cid[static SESSION_CID_MAX])
{
	int enabled = MBEDTLS_SSL_CID_DISABLED;
	size_t len = 0;

	if (session->state != SESSION_ESTABLISHED ||
	    mbedtls_ssl_get_peer_cid(&session->ssl, &enabled, cid, &len) != 0 || enabled != MBEDTLS_SSL_CID_ENABLED)
		return 0;
	return len;
}

bool session_uses_cid(struct session *session)
{
	int enabled = MBEDTLS_SSL_CID_DISABLED;

	return session->state == SESSION_ESTABLISHED &&
	       mbedtls_ssl_get_peer_cid(&session->ssl, &enabled, NULL, NULL) == 0 && enabled == MBEDTLS_SSL_CID_ENABLED;
}

enum session_check session_check(struct session *session, const uint8_t *data, size_t len)
{
	uint8_t copy[RECORD_MAX]; /* mbedTLS decrypts in place */
	size_t octets;

	if (session->state != SESSION_ESTABLISHED)
		return SESSION_CHECK_FORGED;
	while ((octets = record_octets(session, data, len)) && !record_is_protected(data)) {
		data += octets;
		len -= octets;
	}
	if (!octets)
		return SESSION_CHECK_FORGED;
	memcpy(copy, data, octets);
	if (mbedtls_ssl_check_record(&session->ssl, copy, octets) != 0)
		return SESSION_CHECK_FORGED;
	return record_number(data) > session->newest ? SESSION_CHECK_NEWEST : SESSION_CHECK_OLD;
}
