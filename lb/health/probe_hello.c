#include "health/probe_hello.h"

#include <string.h>

#include "common/dtls.h"

/* clang-format off */
static const uint8_t hello[PROBE_HELLO_OCTETS] = {
	22, 0xfe, 0xfd,					/* handshake, DTLS 1.2 */
	0, 0, 0, 0, 0, 0, 0, 0,				/* epoch 0, record 0 */
	0, 135,						/* octets of the fragment */
	1, 0, 0, 123,					/* ClientHello, octets of the message */
	0, 0, 0, 0, 0, 0, 0, 123,			/* message 0, the whole of it in this fragment */
	0xfe, 0xfd,					/* client_version; DTLS 1.3 is offered in supported_versions */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,	/* random */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0,						/* no session id */
	0,						/* no cookie */
	0, 24,						/* octets of the cipher suites */
	0xc0, 0xa8, 0xc0, 0xa4, 0x00, 0xa8, 0x00, 0xae,	/* PSK: AES_128 CCM_8, CCM, GCM_SHA256, CBC_SHA256 */
	0xc0, 0x37,					/* ECDHE_PSK AES_128_CBC_SHA256 */
	0xc0, 0xae, 0xc0, 0x2b,				/* ECDHE_ECDSA AES_128: CCM_8, GCM_SHA256 */
	0xc0, 0x2f, 0xc0, 0x27,				/* ECDHE_RSA AES_128: GCM_SHA256, CBC_SHA256 */
	0x13, 0x01, 0x13, 0x04,				/* 1.3: AES_128 GCM_SHA256, CCM_SHA256 */
	0x00, 0xff,					/* renegotiation_info, as a suite (RFC 5746, section 3.3) */
	1, 0,						/* no compression */
	0, 57,						/* octets of the extensions */
	0x00, 0x0a, 0, 6, 0, 4, 0x00, 0x1d, 0x00, 0x17,	/* supported_groups: x25519, secp256r1 */
	0x00, 0x0b, 0, 2, 1, 0,				/* ec_point_formats: uncompressed */
	0x00, 0x0d, 0, 12, 0, 10,			/* signature_algorithms: */
	0x04, 0x03, 0x05, 0x03,				/*   ECDSA with SHA256, SHA384 */
	0x08, 0x04, 0x04, 0x01, 0x05, 0x01,		/*   RSA: PSS SHA256, PKCS1 SHA256, SHA384 */
	0x00, 0x17, 0, 0,				/* extended_master_secret */
	0x00, 0x2b, 0, 5, 4, 0xfe, 0xfc, 0xfe, 0xfd,	/* supported_versions: DTLS 1.3, 1.2 */
	0x00, 0x33, 0, 2, 0, 0,				/* key_share, empty: asks for a HelloRetryRequest (RFC 8446, section 4.2.8) */
	0x00, 0x2d, 0, 2, 1, 1,				/* psk_key_exchange_modes: psk_dhe_ke */
};

const uint8_t probe_hello_abort[PROBE_ABORT_OCTETS] = {
	21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2,	/* alert, epoch 0, record 1 */
	2, 40,						/* fatal, handshake_failure */
};
/* clang-format on */

enum { MSG_TYPE_AT = DTLS_HEADER_OCTETS, SERVER_HELLO = 2 };

void probe_hello_write(uint8_t out[static PROBE_HELLO_OCTETS], const uint8_t random[static PROBE_HELLO_RANDOM_OCTETS])
{
	memcpy(out, hello, sizeof hello);
	memcpy(out + PROBE_HELLO_RANDOM_AT, random, PROBE_HELLO_RANDOM_OCTETS);
}

void probe_hello_number(uint8_t record[static PROBE_ABORT_OCTETS], uint64_t number)
{
	for (int i = 5; i >= 0; i--, number >>= 8)
		record[PROBE_NUMBER_AT + i] = (uint8_t)number;
}

enum probe_answer probe_hello_read(const uint8_t *data, size_t len)
{
	struct dtls_view view;

	dtls_walk(&view, data, len);
	if (view.kind == DTLS_HELLO)
		return PROBE_ANSWER_NONE;
	switch (dtls_read_reply(data, len)) {
	case DTLS_REPLY_NONE:
		return PROBE_ANSWER_NONE;
	case DTLS_REPLY_STATELESS:
		return data[0] == DTLS_ALERT ? PROBE_ANSWER_ALERT : PROBE_ANSWER_RETRY;
	case DTLS_REPLY_HANDSHAKE:
		return data[0] == DTLS_HANDSHAKE && data[MSG_TYPE_AT] == SERVER_HELLO ? PROBE_ANSWER_SERVER_HELLO
										      : PROBE_ANSWER_OTHER;
	case DTLS_REPLY_PROTECTED:
		break;
	}
	return PROBE_ANSWER_OTHER;
}

const char *probe_answer_name(enum probe_answer answer)
{
	static const char *const names[] = {
		[PROBE_ANSWER_NONE] = "no DTLS",
		[PROBE_ANSWER_RETRY] = "HelloVerifyRequest or HelloRetryRequest",
		[PROBE_ANSWER_SERVER_HELLO] = "ServerHello",
		[PROBE_ANSWER_ALERT] = "alert",
		[PROBE_ANSWER_OTHER] = "DTLS record",
	};

	return names[answer];
}
