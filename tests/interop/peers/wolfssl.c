/* A DTLS server with wolfSSL that echoes: a process per address that speaks to it. */
#include <stdio.h>
#include <string.h>

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include "tests/interop/peers/peer.h"

static unsigned find_key(WOLFSSL *ssl, const char *identity, unsigned char *key, unsigned key_max)
{
	(void)ssl;
	if (strcmp(identity, PSK_IDENTITY) != 0 || key_max < PSK_OCTETS)
		return 0;
	for (unsigned i = 0; i < PSK_OCTETS; i++)
		key[i] = (unsigned char)i;
	return PSK_OCTETS;
}

static void serve(WOLFSSL_CTX *ctx, int fd, struct sockaddr_in *peer)
{
	char data[1500];
	int n;
	WOLFSSL *ssl = wolfSSL_new(ctx);

	if (!ssl || wolfSSL_set_fd(ssl, fd) != WOLFSSL_SUCCESS ||
	    wolfSSL_dtls_set_peer(ssl, peer, sizeof *peer) != WOLFSSL_SUCCESS || wolfSSL_accept(ssl) != WOLFSSL_SUCCESS)
		return;
	while ((n = wolfSSL_read(ssl, data, sizeof data)) > 0)
		wolfSSL_write(ssl, data, n);
	wolfSSL_shutdown(ssl);
}

int main(int argc, char **argv)
{
	struct sockaddr_in peer;
	WOLFSSL_CTX *ctx;

	if (argc != 2 && argc != 4) {
		fprintf(stderr, "usage: wolfssl PORT [CERTIFICATE KEY]     without them: PSK\n");
		return 2;
	}
	wolfSSL_Init();
	ctx = wolfSSL_CTX_new(wolfDTLSv1_2_server_method());
	if (!ctx)
		return 1;
	if (argc == 2) {
		wolfSSL_CTX_set_psk_server_callback(ctx, find_key);
	} else if (wolfSSL_CTX_use_certificate_file(ctx, argv[2], SSL_FILETYPE_PEM) != WOLFSSL_SUCCESS ||
		   wolfSSL_CTX_use_PrivateKey_file(ctx, argv[3], SSL_FILETYPE_PEM) != WOLFSSL_SUCCESS) {
		fprintf(stderr, "wolfssl: no certificate and key in %s and %s\n", argv[2], argv[3]);
		return 1;
	}
	serve(ctx, peer_accept(argv[1], &peer), &peer);
	return 0;
}
