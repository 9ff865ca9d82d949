/* Shared by session*.c. */
#ifndef CIDLB_SESSION_PRIV_H
#define CIDLB_SESSION_PRIV_H

#include <mbedtls/ssl.h>
#include <mbedtls/ssl_cookie.h>
#include <mbedtls/x509_crt.h>

#include "session.h"

struct session_config {
	mbedtls_ssl_config ssl;
	mbedtls_ssl_cookie_ctx cookie;
	mbedtls_x509_crt
		certificates; /* as they were given: ours, then those that the peer is verified by; none: PSK */
	mbedtls_x509_crt own; /* the first of them, alone: a peer gets no more */
	mbedtls_pk_context key;
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
	int error;           /* SESSION_FAILED: mbedTLS's error */
	int alert;           /* the last fatal one in clear, or ALERT_NONE */
	const uint8_t *in;   /* what mbedTLS has not yet asked for of the datagram being fed */
	size_t in_len;       /* octets */
	uint64_t in_number;  /* epoch and sequence number of the record asked for last */
	uint64_t newest;     /* highest number of a record that verified */
	uint64_t now_ms;     /* as last told */
	uint64_t step_at_ms; /* the two delays of mbedtls_ssl_set_timer_t */
	uint64_t final_at_ms;
};

#endif
