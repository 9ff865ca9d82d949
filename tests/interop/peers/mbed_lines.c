#include "tests/interop/peers/mbed_lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "tests/interop/peers/lines.h"

static const int suites[] = { MBEDTLS_TLS_PSK_WITH_AES_128_CCM_8, MBEDTLS_TLS_PSK_WITH_AES_128_GCM_SHA256, 0 };

int mbed_random(void *ctx, unsigned char *out, size_t len)
{
	(void)ctx;
	return getrandom(out, len, 0) == (ssize_t)len ? 0 : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

void mbed_config(mbedtls_ssl_config *config, int endpoint)
{
	mbedtls_ssl_config_init(config);
	int err = mbedtls_ssl_config_defaults(config, endpoint, MBEDTLS_SSL_TRANSPORT_DATAGRAM,
					      MBEDTLS_SSL_PRESET_DEFAULT);
	mbedtls_ssl_conf_rng(config, mbed_random, NULL);
	if (!err)
		err = mbedtls_ssl_conf_psk(config, lines_psk, sizeof lines_psk, (const unsigned char *)lines_identity,
					   strlen(lines_identity));
	mbedtls_ssl_conf_ciphersuites(config, suites);
	mbedtls_ssl_conf_max_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
	mbedtls_ssl_conf_handshake_timeout(config, 500, 30000);
	if (err) {
		fprintf(stderr, "Mbed TLS: error -0x%04x\n", (unsigned)-err);
		exit(1);
	}
}

static int send_datagram(void *ctx, const unsigned char *data, size_t len)
{
	const struct line_session *session = ctx;

	sendto(session->fd, data, len, 0, (const struct sockaddr *)&session->addr, sizeof session->addr);
	return (int)len;
}

static int receive(void *ctx, unsigned char *out, size_t max)
{
	struct line_session *session = ctx;
	size_t len = session->in_len < max ? session->in_len : max;

	if (!session->in)
		return MBEDTLS_ERR_SSL_WANT_READ;
	memcpy(out, session->in, len);
	session->in = NULL;
	return (int)len;
}

static void set_timer(void *ctx, uint32_t step_ms, uint32_t end_ms)
{
	struct line_session *session = ctx;
	const uint64_t now_ms = lines_now_ms();

	session->step_at_ms = now_ms + step_ms;
	session->end_at_ms = end_ms ? now_ms + end_ms : 0;
}

static int get_timer(void *ctx)
{
	const struct line_session *session = ctx;
	const uint64_t now_ms = lines_now_ms();

	if (session->end_at_ms == 0)
		return -1;
	return now_ms >= session->end_at_ms ? 2 : now_ms >= session->step_at_ms;
}

bool mbed_is_due(const struct line_session *session)
{
	return session->number && session->end_at_ms && lines_now_ms() >= session->end_at_ms;
}

void mbed_begin(struct line_session *session, const mbedtls_ssl_config *config, size_t cid_len)
{
	mbedtls_ssl_init(&session->ssl);
	session->established = false;
	session->newest = session->end_at_ms = 0;
	session->in = NULL;
	if (mbedtls_ssl_setup(&session->ssl, config) != 0 ||
	    mbedtls_ssl_set_cid(&session->ssl, MBEDTLS_SSL_CID_ENABLED, session->cid, cid_len) != 0) {
		fputs("Mbed TLS: no session\n", stderr);
		exit(1);
	}
	mbedtls_ssl_set_bio(&session->ssl, session, send_datagram, receive, NULL);
	mbedtls_ssl_set_timer_cb(&session->ssl, session, set_timer, get_timer);
}

static void end(struct line_session *session, int err)
{
	char why[32];

	snprintf(why, sizeof why, "error -0x%04x", (unsigned)-err);
	if (session->established)
		lines_say("closed", session->number, err == MBEDTLS_ERR_SSL_CLIENT_RECONNECT ? "reconnect" : why);
	session->established = false;
}

static int advance(struct line_session *session)
{
	static unsigned char data[MBEDTLS_SSL_IN_CONTENT_LEN];

	if (session->established) {
		int n = mbedtls_ssl_read(&session->ssl, data, sizeof data);

		if (n > 0)
			lines_say_data(session->number, data, (size_t)n);
		return n ? n : MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY;
	}
	int err = mbedtls_ssl_handshake(&session->ssl);
	if (err)
		return err;
	session->established = true;
	lines_say_addr("open", session->number, &session->addr);
	return 1;
}

int mbed_feed(struct line_session *session, const unsigned char *data, size_t len)
{
	int err;

	session->in = data;
	session->in_len = len;
	do {
		err = advance(session);
		/* The handshake goes on with the ClientHello that ended the session. */
		if (err == MBEDTLS_ERR_SSL_CLIENT_RECONNECT)
			end(session, err);
	} while (err > 0 || err == MBEDTLS_ERR_SSL_CLIENT_RECONNECT);
	session->in = NULL;
	if (err != MBEDTLS_ERR_SSL_WANT_READ && err != MBEDTLS_ERR_SSL_WANT_WRITE)
		end(session, err);
	return err;
}
