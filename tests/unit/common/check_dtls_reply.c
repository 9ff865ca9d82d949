#include <stdlib.h>

#include "common/dtls.h"
#include "tests/fixtures/octets.h"
#include "tests/fixtures/records.h"
#include "tests/unit/suite.h"

/* RFC 8446, section 4.1.3: SHA-256 of "HelloRetryRequest". */
#define RETRY_RANDOM "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"
#define OTHER_RANDOM "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339d"

/* ServerHello of 40 octets, message 0: version, random, no session id, suite 1301, no compression, no extensions. */
#define SERVER_HELLO(random) "16 fefd 0000 000000000001 0034 02 000028 0000 000000 000028 fefd" random "00 1301 00 0000"
/* Its first 33 octets, and 34: with the random's last octet missing, and whole. */
#define FRAGMENT_33                                                                                                    \
	"16 fefd 0000 000000000001 002d 02 000028 0000 000000 000021 fefd "                                            \
	"cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a833"
#define FRAGMENT_34 "16 fefd 0000 000000000001 002e 02 000028 0000 000000 000022 fefd" RETRY_RANDOM

#define ALERT    "15 fefd 0000 000000000001 0002 0228"
#define CCS      "14 fefd 0000 000000000002 0001 01"
#define FINISHED "16 fefd 0001 000000000000 0008 aaaaaaaaaaaaaaaa"
#define CIPHER16 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *name, *hex;
	enum dtls_reply is;
} replies[] = {
	/* clang-format off */
	{ "HelloVerifyRequest of Mbed TLS", MBEDTLS_HELLO_VERIFY_REQUEST, DTLS_REPLY_STATELESS },
	{ "HelloVerifyRequest of OpenSSL, version feff", OPENSSL_HELLO_VERIFY_REQUEST, DTLS_REPLY_STATELESS },
	{ "ServerHello and Done of OpenSSL", OPENSSL_FLIGHT4, DTLS_REPLY_HANDSHAKE },
	{ "HelloRetryRequest", SERVER_HELLO(RETRY_RANDOM), DTLS_REPLY_STATELESS },
	{ "ServerHello, last octet of the random another", SERVER_HELLO(OTHER_RANDOM), DTLS_REPLY_HANDSHAKE },
	{ "ServerHello, fragment that ends in the random", FRAGMENT_33, DTLS_REPLY_HANDSHAKE },
	{ "HelloRetryRequest, fragment that ends with the random", FRAGMENT_34, DTLS_REPLY_STATELESS },
	{ "the random, but a ClientHello", "16 fefd 0000 000000000001 002e 01 000028 0000 000000 000022 fefd" RETRY_RANDOM, DTLS_REPLY_HANDSHAKE },
	{ "handshake header alone", "16 fefd 0000 000000000001 000c 02 000000 0002 000000 000000", DTLS_REPLY_HANDSHAKE },
	{ "alert", ALERT, DTLS_REPLY_STATELESS },
	{ "change of ciphers", CCS, DTLS_REPLY_HANDSHAKE },
	{ "ACK of epoch 0", "1a fefd 0000 000000000001 0002 0000", DTLS_REPLY_HANDSHAKE },

	/* The first handshake record says which */
	{ "alert, then HelloVerifyRequest", ALERT OPENSSL_HELLO_VERIFY_REQUEST, DTLS_REPLY_STATELESS },
	{ "HelloVerifyRequest, then alert", OPENSSL_HELLO_VERIFY_REQUEST ALERT, DTLS_REPLY_STATELESS },
	{ "HelloVerifyRequest, then ServerHello", OPENSSL_HELLO_VERIFY_REQUEST SERVER_HELLO(OTHER_RANDOM), DTLS_REPLY_STATELESS },
	{ "alert, then ServerHello", ALERT SERVER_HELLO(OTHER_RANDOM), DTLS_REPLY_HANDSHAKE },
	{ "ServerHello, then alert", SERVER_HELLO(OTHER_RANDOM) ALERT, DTLS_REPLY_HANDSHAKE },
	{ "ServerHello, then HelloVerifyRequest", SERVER_HELLO(OTHER_RANDOM) OPENSSL_HELLO_VERIFY_REQUEST, DTLS_REPLY_HANDSHAKE },

	/* Epochs */
	{ "CCS and Finished, epoch 1", CCS FINISHED, DTLS_REPLY_PROTECTED },
	{ "Finished alone", FINISHED, DTLS_REPLY_PROTECTED },
	{ "ticket, CCS, Finished", "16 fefd 0000 000000000001 000d 04 000001 0001 000000 000001 ee" CCS FINISHED, DTLS_REPLY_PROTECTED },
	{ "HelloVerifyRequest, then epoch 1", OPENSSL_HELLO_VERIFY_REQUEST FINISHED, DTLS_REPLY_PROTECTED },
	{ "application data, epoch 1", "17 fefd 0001 000000000001 0001 aa", DTLS_REPLY_PROTECTED },
	{ "alert, epoch 1", "15 fefd 0001 000000000001 0001 aa", DTLS_REPLY_PROTECTED },
	{ "application data, epoch 256", "17 fefd 0100 000000000001 0001 aa", DTLS_REPLY_PROTECTED },
	{ "with the device's CID", "19 fefd 0001 000000000001 d1d2 0001 aa", DTLS_REPLY_PROTECTED },
	{ "CCS, then the device's CID", CCS "19 fefd 0001 000000000001 d1d2 0001 aa", DTLS_REPLY_PROTECTED },
	{ "1.3, epoch 2", "2e 0001 0010" CIPHER16, DTLS_REPLY_HANDSHAKE },
	{ "1.3, ServerHello, then epoch 2", SERVER_HELLO(OTHER_RANDOM) "2e 0001 0010" CIPHER16, DTLS_REPLY_HANDSHAKE },
	{ "1.3, epoch 2, then 3", "2e 0001 0010" CIPHER16 "2f 0001 0010" CIPHER16, DTLS_REPLY_PROTECTED },
	{ "1.3, epoch 1 or 5", "2d 0001 0010" CIPHER16, DTLS_REPLY_PROTECTED },
	{ "1.3, epoch 3", "2f 0001 0010" CIPHER16, DTLS_REPLY_PROTECTED },
	{ "1.3, epoch 4", "2c 0001 0010" CIPHER16, DTLS_REPLY_PROTECTED },
	{ "1.3, epoch 2, with the device's CID", "3e d1d2 0001 0010" CIPHER16, DTLS_REPLY_HANDSHAKE },
	{ "1.3, epoch 3, with the device's CID", "3f d1d2 0001 0010" CIPHER16, DTLS_REPLY_PROTECTED },
	/* Behind the 19 octets that such a record has at least, a Finished that is none: where the record ends is not known. */
	{ "1.3, epoch 2 with a CID, what seems to follow", "32 d1d2 01 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" FINISHED, DTLS_REPLY_HANDSHAKE },

	/* Not DTLS, or only at first */
	{ "empty", "", DTLS_REPLY_NONE },
	{ "CoAP", "60 45 1234 ff 30", DTLS_REPLY_NONE },
	{ "type 28", "1c fefd 0001 000000000001 0001 aa", DTLS_REPLY_NONE },
	{ "TLS 1.2", "16 0303 0000 000000000001 000c 02 000000 0002 000000 000000", DTLS_REPLY_NONE },
	{ "cut", "16 fefd 0001 000000000001 0002 aa", DTLS_REPLY_NONE },
	{ "application data, epoch 0", "17 fefd 0000 000000000001 0001 aa", DTLS_REPLY_NONE },
	{ "CID, epoch 0", "19 fefd 0000 000000000001 d1d2 0001 aa", DTLS_REPLY_NONE },
	{ "alert, then no DTLS", ALERT "ff", DTLS_REPLY_STATELESS },
	{ "HelloVerifyRequest, then a cut record of epoch 1", OPENSSL_HELLO_VERIFY_REQUEST "16 fefd 0001", DTLS_REPLY_STATELESS },
	{ "no DTLS, then epoch 1", "ff" FINISHED, DTLS_REPLY_NONE },
	/* clang-format on */
};

START_TEST(reply)
{
	const struct octets in = octets_of(replies[_i].hex);
	const enum dtls_reply got = dtls_read_reply(in.at, in.len);

	ck_assert_msg(got == replies[_i].is, "%s: %d", replies[_i].name, got);
	free(in.at);
}
END_TEST

/* Every prefix, exactly sized: nothing is read behind it (AddressSanitizer), and what is protected stays so. */
START_TEST(truncated)
{
	const struct octets whole = octets_of(replies[_i].hex);
	bool protected = false;

	for (size_t len = 0; len <= whole.len; len++) {
		const struct octets in = octets_copy(whole.at, len);
		const enum dtls_reply got = dtls_read_reply(in.at, in.len);

		ck_assert(!protected || got == DTLS_REPLY_PROTECTED);
		protected = got == DTLS_REPLY_PROTECTED;
		free(in.at);
	}
	free(whole.at);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, reply, 0, COUNT_OF(replies));
	tcase_add_loop_test(tests, truncated, 0, COUNT_OF(replies));
}
