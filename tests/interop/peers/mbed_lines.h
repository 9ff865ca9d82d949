/* What the server and the devices with Mbed TLS share: a session over buffers, with timers. */
#ifndef CIDLB_TESTS_INTEROP_PEERS_MBED_LINES_H
#define CIDLB_TESTS_INTEROP_PEERS_MBED_LINES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mbedtls/ssl.h>

struct line_session {
	unsigned number; /* 0: unused */
	bool established;
	int fd;
	struct sockaddr_in addr; /* where what it sends goes */
	unsigned char cid[6];
	unsigned char hello_random[32];
	uint64_t newest;                /* epoch and number of the newest record that verified */
	uint64_t step_at_ms, end_at_ms; /* of the handshake's timer; end 0: off */
	const unsigned char *in;        /* the datagram that is read just now */
	size_t in_len;
	mbedtls_ssl_context ssl;
};

/* The configuration with PSK and CCM_8. Exits on errors. */
void mbed_config(mbedtls_ssl_config *config, int endpoint);
int mbed_random(void *ctx, unsigned char *out, size_t len);

/* Sets up its context. `cid_len` 0: it sends the CID of the other side and takes none. */
void mbed_begin(struct line_session *session, const mbedtls_ssl_config *config, size_t cid_len);

/* Takes a datagram (none: a timer is due), and says what came of it. Returns the last error of Mbed TLS. */
int mbed_feed(struct line_session *session, const unsigned char *data, size_t len);
bool mbed_is_due(const struct line_session *session);

#endif
