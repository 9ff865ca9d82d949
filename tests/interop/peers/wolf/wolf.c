#include "tests/interop/peers/wolf/wolf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char suite12[] = "PSK-AES128-CCM-8:PSK-AES128-GCM-SHA256", suite13[] = "TLS13-AES128-GCM-SHA256";

static unsigned find_key(WOLFSSL *ssl, const char *identity, unsigned char *key, unsigned key_max)
{
	(void)ssl;
	if (strcmp(identity, lines_identity) != 0 || key_max < sizeof lines_psk)
		return 0;
	memcpy(key, lines_psk, sizeof lines_psk);
	return sizeof lines_psk;
}

static unsigned find_key13(WOLFSSL *ssl, const char *identity, unsigned char *key, unsigned key_max, const char **suite)
{
	*suite = suite13;
	return find_key(ssl, identity, key, key_max);
}

static unsigned own_key(WOLFSSL *ssl, const char *hint, char *identity, unsigned identity_max, unsigned char *key,
			unsigned key_max)
{
	(void)hint;
	snprintf(identity, identity_max, "%s", lines_identity);
	return find_key(ssl, identity, key, key_max);
}

static unsigned own_key13(WOLFSSL *ssl, const char *hint, char *identity, unsigned identity_max, unsigned char *key,
			  unsigned key_max, const char **suite)
{
	*suite = suite13;
	return own_key(ssl, hint, identity, identity_max, key, key_max);
}

static int receive(WOLFSSL *ssl, char *out, int max, void *own)
{
	struct wolf_session *session = own;

	(void)ssl;
	if (!session->in)
		return WOLFSSL_CBIO_ERR_WANT_READ;
	const size_t len = session->in_len < (size_t)max ? session->in_len : (size_t)max;
	memcpy(out, session->in, len);
	session->in = NULL;
	return (int)len;
}

WOLFSSL_CTX *wolf_context(WOLFSSL_METHOD *method, bool speaks13)
{
	WOLFSSL_CTX *ctx = wolfSSL_CTX_new(method);

	if (!ctx || wolfSSL_CTX_set_cipher_list(ctx, speaks13 ? suite13 : suite12) != WOLFSSL_SUCCESS)
		exit(1);
	wolfSSL_CTX_set_psk_server_callback(ctx, find_key);
	wolfSSL_CTX_set_psk_server_tls13_callback(ctx, find_key13);
	wolfSSL_CTX_set_psk_client_callback(ctx, own_key);
	wolfSSL_CTX_set_psk_client_tls13_callback(ctx, own_key13);
	wolfSSL_CTX_SetIORecv(ctx, receive);
	return ctx;
}

struct wolf_session *wolf_begin(WOLFSSL_CTX *ctx, const unsigned char *cid, unsigned cid_len)
{
	struct wolf_session *session = calloc(1, sizeof *session);

	if (!session || !(session->ssl = wolfSSL_new(ctx)))
		exit(1);
	if (cid)
		memcpy(session->cid, cid, sizeof session->cid);
	if (cid && (wolfSSL_dtls_cid_use(session->ssl) != WOLFSSL_SUCCESS ||
		    (cid_len && wolfSSL_dtls_cid_set(session->ssl, session->cid, cid_len) != WOLFSSL_SUCCESS))) {
		fputs("wolfSSL: no session\n", stderr);
		exit(1);
	}
	wolfSSL_SetIOReadCtx(session->ssl, session);
	wolfSSL_SetIOWriteCtx(session->ssl, session);
	wolfSSL_dtls_set_using_nonblock(session->ssl, 1);
	return session;
}

void wolf_end(struct wolf_session *session, int err)
{
	char why[32];

	snprintf(why, sizeof why, "error %d", err);
	if (session->established)
		lines_say("closed", session->number, why);
	session->established = false;
}

bool wolf_repeats(struct wolf_session *session)
{
	if (session->established || !session->expires_ms || lines_now_ms() < session->expires_ms)
		return false;
	session->expires_ms = 0;
	return wolfSSL_dtls_got_timeout(session->ssl) == WOLFSSL_SUCCESS;
}

static enum wolf_server kind_of(const char *word)
{
	return strcmp(word, "connected") == 0 ? WOLF_CONNECTED
	       : strcmp(word, "1.3") == 0     ? WOLF_13
	       : strcmp(word, "ids") == 0     ? WOLF_IDS
					      : WOLF_PENDING_PEER;
}

int main(int argc, char **argv)
{
	const bool serves = (argc == 4 || argc == 5) && strcmp(argv[1], "server") == 0;
	const bool devices = (argc == 3 || argc == 4) && strcmp(argv[1], "device") == 0;
	const char *last = argv[argc - 1];

	wolfSSL_Init();
	if (serves)
		return wolf_serve((unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]), kind_of(last));
	if (devices)
		return wolf_devices(strcmp(argv[2], "1.3") == 0, strcmp(last, "cid") == 0);
	fputs("usage: wolf server PORT ID [connected | 1.3 | ids] | wolf device VERSION [cid]     VERSION: 1.2 or "
	      "1.3\n",
	      stderr);
	return 2;
}
