/* A DTLS server with Mbed TLS and a certificate that echoes: a process per address that speaks to it. */
#include <stdbool.h>
#include <stdio.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_cookie.h>
#include <mbedtls/timing.h>
#include <mbedtls/x509_crt.h>

#include "tests/interop/peers/peer.h"

static mbedtls_entropy_context entropy;
static mbedtls_ctr_drbg_context random_source;
static mbedtls_x509_crt certificate;
static mbedtls_pk_context key;
static mbedtls_ssl_config config;
static mbedtls_ssl_cookie_ctx cookies;
static mbedtls_ssl_context ssl;
static mbedtls_timing_delay_context timer;

static int set_up(const char *certificate_file, const char *key_file, bool with_cookies)
{
	int err;

	mbedtls_entropy_init(&entropy);
	mbedtls_ctr_drbg_init(&random_source);
	mbedtls_x509_crt_init(&certificate);
	mbedtls_pk_init(&key);
	mbedtls_ssl_config_init(&config);
	mbedtls_ssl_cookie_init(&cookies);
	err = mbedtls_ctr_drbg_seed(&random_source, mbedtls_entropy_func, &entropy, NULL, 0);
	if (!err)
		err = mbedtls_x509_crt_parse_file(&certificate, certificate_file);
	if (!err)
		err = mbedtls_pk_parse_keyfile(&key, key_file, NULL, mbedtls_ctr_drbg_random, &random_source);
	if (!err)
		err = mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_DATAGRAM,
						  MBEDTLS_SSL_PRESET_DEFAULT);
	mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &random_source);
	mbedtls_ssl_conf_read_timeout(&config, 30000);
	if (!err)
		err = mbedtls_ssl_conf_own_cert(&config, &certificate, &key);
	if (!err)
		err = mbedtls_ssl_cookie_setup(&cookies, mbedtls_ctr_drbg_random, &random_source);
	mbedtls_ssl_conf_dtls_cookies(&config, with_cookies ? mbedtls_ssl_cookie_write : NULL,
				      with_cookies ? mbedtls_ssl_cookie_check : NULL, &cookies);
	return err;
}

static void serve(int fd, const struct sockaddr_in *peer)
{
	mbedtls_net_context net = { fd };
	unsigned char data[1500];
	int n;

	mbedtls_ssl_init(&ssl);
	if (mbedtls_ssl_setup(&ssl, &config) != 0)
		return;
	mbedtls_ssl_set_bio(&ssl, &net, mbedtls_net_send, mbedtls_net_recv, mbedtls_net_recv_timeout);
	mbedtls_ssl_set_timer_cb(&ssl, &timer, mbedtls_timing_set_delay, mbedtls_timing_get_delay);
	do {
		mbedtls_ssl_session_reset(&ssl);
		mbedtls_ssl_set_client_transport_id(&ssl, (const unsigned char *)peer, sizeof *peer);
		n = mbedtls_ssl_handshake(&ssl);
	} while (n == MBEDTLS_ERR_SSL_HELLO_VERIFY_REQUIRED);
	while (n >= 0 && (n = mbedtls_ssl_read(&ssl, data, sizeof data)) > 0)
		n = mbedtls_ssl_write(&ssl, data, (size_t)n);
}

int main(int argc, char **argv)
{
	struct sockaddr_in peer;
	int err;

	if (argc != 4 && argc != 5) {
		fprintf(stderr, "usage: mbedtls PORT CERTIFICATE KEY [any word: no cookies]\n");
		return 2;
	}
	err = set_up(argv[2], argv[3], argc == 4);
	if (err) {
		fprintf(stderr, "mbedtls: error -0x%04x\n", (unsigned)-err);
		return 1;
	}
	serve(peer_accept(argv[1], &peer), &peer);
	return 0;
}
