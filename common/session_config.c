#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/ssl_ciphersuites.h>

#include "session_priv.h"

_Static_assert(SESSION_PSK_MAX <= MBEDTLS_PSK_MAX_LEN, "mbedTLS takes every key");

static const int device_suites[] = { MBEDTLS_TLS_PSK_WITH_AES_128_CCM_8, 0 };

/* AEAD only, because mbedTLS can save no others. */
static const int server_suites[] = { MBEDTLS_TLS_PSK_WITH_AES_128_CCM_8, MBEDTLS_TLS_PSK_WITH_AES_128_CCM,
				     MBEDTLS_TLS_PSK_WITH_AES_128_GCM_SHA256, 0 };

static const int all_suites[] = { MBEDTLS_TLS_PSK_WITH_AES_128_CCM_8,
				  MBEDTLS_TLS_PSK_WITH_AES_128_CCM,
				  MBEDTLS_TLS_PSK_WITH_AES_128_GCM_SHA256,
				  MBEDTLS_TLS_PSK_WITH_AES_128_CBC_SHA256,
				  MBEDTLS_TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256,
				  0 };

static const int certificate_suites[] = { MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8, 0 };

static int config_psk(struct session_config *config, const struct session_options *options)
{
	mbedtls_ssl_config *ssl = &config->ssl;
	const int *client_suites = options->all_suites ? all_suites : device_suites;

	mbedtls_ssl_conf_ciphersuites(ssl, options->role == SESSION_SERVER ? server_suites : client_suites);
	return mbedtls_ssl_conf_psk(ssl, options->psk_key, options->psk_key_len,
				    (const unsigned char *)options->psk_identity, strlen(options->psk_identity)) == 0
		       ? 0
		       : -ENOMEM;
}

static int config_certificates(struct session_config *config, const struct session_options *options)
{
	mbedtls_ssl_config *ssl = &config->ssl;
	mbedtls_x509_crt *all = &config->certificates;
	const unsigned char *pem = (const unsigned char *)options->certificates;
	const size_t octets = strlen(options->certificates) + 1;

	if (mbedtls_x509_crt_parse(all, pem, octets) != 0 || !all->next ||
	    mbedtls_x509_crt_parse_der(&config->own, all->raw.p, all->raw.len) != 0 ||
	    mbedtls_pk_parse_key(&config->key, pem, octets, NULL, 0, options->random, options->random_ctx) != 0)
		return -EINVAL;
	mbedtls_ssl_conf_ciphersuites(ssl, certificate_suites);
	mbedtls_ssl_conf_authmode(ssl, MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_ca_chain(ssl, all->next, NULL);
	return mbedtls_ssl_conf_own_cert(ssl, &config->own, &config->key) == 0 ? 0 : -ENOMEM;
}

static int config_setup(struct session_config *config, const struct session_options *options)
{
	mbedtls_ssl_config *ssl = &config->ssl;
	bool server = options->role == SESSION_SERVER;

	if (mbedtls_ssl_config_defaults(ssl, server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
					MBEDTLS_SSL_TRANSPORT_DATAGRAM, MBEDTLS_SSL_PRESET_DEFAULT) != 0)
		return -ENOMEM;
	mbedtls_ssl_conf_rng(ssl, options->random, options->random_ctx);
	mbedtls_ssl_conf_min_tls_version(ssl, MBEDTLS_SSL_VERSION_TLS1_2);
	mbedtls_ssl_conf_max_tls_version(ssl, MBEDTLS_SSL_VERSION_TLS1_2);
	mbedtls_ssl_conf_dtls_anti_replay(ssl, MBEDTLS_SSL_ANTI_REPLAY_ENABLED);
	mbedtls_ssl_conf_handshake_timeout(ssl, options->handshake_min_ms ? options->handshake_min_ms : 1000,
					   options->handshake_max_ms ? options->handshake_max_ms : 60000);
	int err = options->certificates ? config_certificates(config, options) : config_psk(config, options);
	if (err)
		return err;
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
	const bool has_psk =
		options->psk_key_len >= 1 && options->psk_key_len <= SESSION_PSK_MAX && options->psk_identity[0];
	if ((!options->certificates && !has_psk) || options->cid_length > SESSION_CID_MAX ||
	    (options->cid_length && !options->use_cid) || !options->random)
		return -EINVAL;
	struct session_config *config = calloc(1, sizeof *config);
	if (!config)
		return -ENOMEM;
	mbedtls_ssl_config_init(&config->ssl);
	mbedtls_ssl_cookie_init(&config->cookie);
	mbedtls_x509_crt_init(&config->certificates);
	mbedtls_x509_crt_init(&config->own);
	mbedtls_pk_init(&config->key);
	config->role = options->role;
	config->use_cid = options->use_cid;
	config->cid_length = options->cid_length;
	int err = config_setup(config, options);
	if (err) {
		session_config_free(config);
		return err;
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
	mbedtls_pk_free(&config->key);
	mbedtls_x509_crt_free(&config->own);
	mbedtls_x509_crt_free(&config->certificates);
	free(config);
}
