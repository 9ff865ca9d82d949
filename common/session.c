#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/error.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ciphersuites.h>
#include <mbedtls/ssl_cookie.h>

#include "dtls.h"

_Static_assert(SESSION_CID_MAX == MBEDTLS_SSL_CID_IN_LEN_MAX && SESSION_CID_MAX == MBEDTLS_SSL_CID_OUT_LEN_MAX, "one CID buffer for both");
_Static_assert(SESSION_PSK_MAX <= MBEDTLS_PSK_MAX_LEN, "mbedTLS takes every key");
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

struct session_config {
	mbedtls_ssl_config ssl;
	mbedtls_ssl_cookie_ctx cookie;
	enum session_role role;
	bool use_cid;
	uint8_t cid_length;
};

struct session {
	mbedtls_ssl_context ssl;
	struct session_config *config;
	struct session_callbacks callbacks;
	void *ctx;
	enum session_state state;
	bool sent;           /* since the last input began */
	bool key_exchanged;  /* client: its last flight is out */
	int error;           /* SESSION_FAILED: of mbedTLS */
	int alert;           /* the last fatal one in clear, or ALERT_NONE */
	const uint8_t *in;   /* what mbedTLS has not asked for yet of the datagram that is being fed */
	size_t in_len;       /* octets */
	uint64_t in_number;  /* epoch and sequence number of the record that it asked for last */
	uint64_t newest;     /* highest number of a record that verified */
	uint64_t now_ms;     /* as last told */
	uint64_t step_at_ms; /* the two delays of mbedtls_ssl_set_timer_t */
	uint64_t final_at_ms;
};

static const int device_suites[] = { MBEDTLS_TLS_PSK_WITH_AES_128_CCM_8, 0 };

/* AEAD only: mbedTLS saves no others. */
static const int server_suites[] = { MBEDTLS_TLS_PSK_WITH_AES_128_CCM_8, MBEDTLS_TLS_PSK_WITH_AES_128_CCM,
				     MBEDTLS_TLS_PSK_WITH_AES_128_GCM_SHA256, 0 };

static const int all_suites[] = { MBEDTLS_TLS_PSK_WITH_AES_128_CCM_8,
				  MBEDTLS_TLS_PSK_WITH_AES_128_CCM,
				  MBEDTLS_TLS_PSK_WITH_AES_128_GCM_SHA256,
				  MBEDTLS_TLS_PSK_WITH_AES_128_CBC_SHA256,
				  MBEDTLS_TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256,
				  0 };

static int config_setup(struct session_config *config, const struct session_options *options)
{
	mbedtls_ssl_config *ssl = &config->ssl;
	bool server = options->role == SESSION_SERVER;

	if (mbedtls_ssl_config_defaults(ssl, server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_DATAGRAM,
					MBEDTLS_SSL_PRESET_DEFAULT) != 0)
		return -ENOMEM;
	mbedtls_ssl_conf_rng(ssl, options->random, options->random_ctx);
	mbedtls_ssl_conf_min_tls_version(ssl, MBEDTLS_SSL_VERSION_TLS1_2);
	mbedtls_ssl_conf_max_tls_version(ssl, MBEDTLS_SSL_VERSION_TLS1_2);
	mbedtls_ssl_conf_ciphersuites(ssl, server ? server_suites : options->all_suites ? all_suites : device_suites);
	mbedtls_ssl_conf_dtls_anti_replay(ssl, MBEDTLS_SSL_ANTI_REPLAY_ENABLED);
	mbedtls_ssl_conf_handshake_timeout(ssl, options->handshake_min_ms ? options->handshake_min_ms : 1000,
					   options->handshake_max_ms ? options->handshake_max_ms : 60000);
	if (mbedtls_ssl_conf_psk(ssl, options->psk_key, options->psk_key_len, (const unsigned char *)options->psk_identity,
				 strlen(options->psk_identity)) != 0)
		return -ENOMEM;
	if (options->use_cid && mbedtls_ssl_conf_cid(ssl, options->cid_length, MBEDTLS_SSL_UNEXPECTED_CID_IGNORE) != 0)
		return -EINVAL;
	if (server) {
		if (mbedtls_ssl_cookie_setup(&config->cookie, options->random, options->random_ctx) != 0)
			return -EIO;
		mbedtls_ssl_conf_dtls_cookies(ssl, mbedtls_ssl_cookie_write, mbedtls_ssl_cookie_check, &config->cookie);
	}
	return 0;
}

int session_config_new(struct session_config **out, const struct session_options *options)
{
	if (options->psk_key_len < 1 || options->psk_key_len > SESSION_PSK_MAX || !options->psk_identity[0] ||
	    options->cid_length > SESSION_CID_MAX || (options->cid_length && !options->use_cid) || !options->random)
		return -EINVAL;
	struct session_config *config = calloc(1, sizeof *config);
	if (!config)
		return -ENOMEM;
	mbedtls_ssl_config_init(&config->ssl);
	mbedtls_ssl_cookie_init(&config->cookie);
	config->role = options->role;
	config->use_cid = options->use_cid;
	config->cid_length = options->cid_length;
	int rc = config_setup(config, options);
	if (rc) {
		session_config_free(config);
		return rc;
	}
	*out = config;
	return 0;
}

void session_config_free(struct session_config *config)
{
	if (!config)
		return;
	mbedtls_ssl_cookie_free(&config->cookie);
	mbedtls_ssl_config_free(&config->ssl);
	free(config);
}

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
	session->key_exchanged |= data[0] == DTLS_HANDSHAKE && len > DTLS_HEADER_OCTETS && data[DTLS_HEADER_OCTETS] == CLIENT_KEY_EXCHANGE;
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

/* Octets of the record that `data` begins with, or 0 if it is none: the rest of the datagram is then worthless. */
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

/* Hands out record by record, so that in_number is that of the plaintext which mbedtls_ssl_read() then returns. */
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
		/* mbedTLS would throw an established session away for a ClientHello with a valid cookie; here that is another session. */
		if (octets > size || (session->state == SESSION_ESTABLISHED && record_is_hello(record, octets)))
			continue;
		session->in_number = record_number(record);
		note_alert(session, record, octets);
		memcpy(out, record, octets);
		return (int)octets;
	}
	return MBEDTLS_ERR_SSL_WANT_READ;
}

int session_new(struct session **out, struct session_config *config, const uint8_t *own_cid, const struct session_callbacks *callbacks,
		void *ctx)
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
	    (config->use_cid && mbedtls_ssl_set_cid(&session->ssl, MBEDTLS_SSL_CID_ENABLED, own_cid, config->cid_length) != 0)) {
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

void session_set_ctx(struct session *session, void *ctx)
{
	session->ctx = ctx;
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

/* One call into mbedTLS; returns true if another one may get further. */
static bool step(struct session *session)
{
	uint8_t plain[SESSION_PLAIN_MAX];
	size_t before = session->in_len;
	int rc;

	if (session->state == SESSION_HANDSHAKING) {
		rc = mbedtls_ssl_handshake(&session->ssl);
		if (rc == 0) {
			session->state = SESSION_ESTABLISHED;
			verified(session);
			return true;
		}
	} else {
		rc = mbedtls_ssl_read(&session->ssl, plain, sizeof plain);
		if (rc > 0) {
			verified(session);
			session->callbacks.deliver(session->ctx, plain, (size_t)rc);
			return session->state == SESSION_ESTABLISHED;
		}
	}
	if (rc == MBEDTLS_ERR_SSL_WANT_READ)
		return session->in_len && session->in_len < before;
	session->state = rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY ? SESSION_CLOSED : SESSION_FAILED;
	session->error = rc;
	return false;
}

/* A listening session is reset unless its answer was that of a verified cookie: a ServerHello. */
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
	int rc = mbedtls_ssl_write(&session->ssl, data, len);
	if (rc != (int)len) {
		session->state = SESSION_FAILED;
		session->error = rc;
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
	return session->state == SESSION_FAILED && session->error == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE ? session->alert : ALERT_NONE;
}

bool session_awaits_finished(const struct session *session)
{
	return session->state == SESSION_HANDSHAKING && session->key_exchanged;
}

size_t session_peer_cid(struct session *session, uint8_t cid[static SESSION_CID_MAX])
{
	int enabled = MBEDTLS_SSL_CID_DISABLED;
	size_t len = 0;

	if (session->state != SESSION_ESTABLISHED || mbedtls_ssl_get_peer_cid(&session->ssl, &enabled, cid, &len) != 0 ||
	    enabled != MBEDTLS_SSL_CID_ENABLED)
		return 0;
	return len;
}

bool session_uses_cid(struct session *session)
{
	int enabled = MBEDTLS_SSL_CID_DISABLED;

	return session->state == SESSION_ESTABLISHED && mbedtls_ssl_get_peer_cid(&session->ssl, &enabled, NULL, NULL) == 0 &&
	       enabled == MBEDTLS_SSL_CID_ENABLED;
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

/* What is saved: the number of the newest record, and what mbedTLS writes, which has the window of the records seen but keeps it hidden. */
enum { SAVED_NEWEST_OCTETS = 8 };

int session_save(struct session *session, uint8_t *out, size_t size, size_t *len)
{
	bool fits = size > SAVED_NEWEST_OCTETS;
	size_t octets = 0;

	if (session->state != SESSION_ESTABLISHED)
		return -ENOTCONN;
	int rc = mbedtls_ssl_context_save(&session->ssl, fits ? out + SAVED_NEWEST_OCTETS : NULL, fits ? size - SAVED_NEWEST_OCTETS : 0,
					  &octets);
	if (rc == MBEDTLS_ERR_SSL_BAD_INPUT_DATA)
		return -ENOTSUP;
	*len = SAVED_NEWEST_OCTETS + octets;
	if (rc == MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL)
		return -ENOSPC;
	session->state = rc == 0 ? SESSION_CLOSED : SESSION_FAILED;
	for (int i = 0; i < SAVED_NEWEST_OCTETS; i++)
		out[i] = (uint8_t)(session->newest >> 8 * (SAVED_NEWEST_OCTETS - 1 - i));
	return rc == 0 ? 0 : -EIO;
}

int session_load(struct session **out, struct session_config *config, const uint8_t *own_cid, const struct session_callbacks *callbacks,
		 void *ctx, const uint8_t *data, size_t len)
{
	struct session *session;

	if (len < SAVED_NEWEST_OCTETS)
		return -EBADMSG;
	int rc = session_new(&session, config, own_cid, callbacks, ctx);
	if (rc)
		return rc;
	rc = mbedtls_ssl_context_load(&session->ssl, data + SAVED_NEWEST_OCTETS, len - SAVED_NEWEST_OCTETS);
	if (rc) {
		session_free(session);
		return rc == MBEDTLS_ERR_SSL_ALLOC_FAILED ? -ENOMEM : -EBADMSG;
	}
	for (int i = 0; i < SAVED_NEWEST_OCTETS; i++)
		session->newest = session->newest << 8 | data[i];
	session->state = SESSION_ESTABLISHED;
	*out = session;
	return 0;
}
