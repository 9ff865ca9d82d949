/* A DTLS 1.2 server with OpenSSL and a chain of certificates that echoes: one socket, any number of sessions at once.
 * A slot is given to who began last, so memory is bounded whatever arrives. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>

enum {
	SLOTS = 1 << 16,
	NEARBY = 16, /* slots in which a session may be */
	DATAGRAM_OCTETS = 2048,
	RECORD_OCTETS = 1400, /* handshake messages go in fragments of at most so many */
	HANDSHAKE = 22,
	CLIENT_HELLO = 1,
	HEADER_OCTETS = 13,
	TICK_MS = 50,
	PATIENCE_MS = 5000, /* an unfinished handshake, unless the server is patient */
	SESSION_MS = 60000,
};

struct session {
	SSL *ssl;
	struct sockaddr_in peer;
	uint64_t until_ms;
	bool is_up;
};

static struct session *slots[SLOTS];
static unsigned char secret[32];
static BIO_METHOD *method;
static SSL_CTX *context;
static uint64_t patience_ms = PATIENCE_MS;
static int fd;

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int cookie_write(SSL *ssl, unsigned char *cookie, unsigned *len)
{
	const struct session *session = SSL_get_app_data(ssl);
	const struct sockaddr_in *peer = &session->peer;
	unsigned char place[6];

	memcpy(place, &peer->sin_addr, 4);
	memcpy(place + 4, &peer->sin_port, 2);
	return HMAC(EVP_sha256(), secret, sizeof secret, place, sizeof place, cookie, len) != NULL;
}

static int cookie_check(SSL *ssl, const unsigned char *cookie, unsigned len)
{
	unsigned char due[EVP_MAX_MD_SIZE];
	unsigned due_len;

	return cookie_write(ssl, due, &due_len) && len == due_len && CRYPTO_memcmp(cookie, due, len) == 0;
}

static int bio_write(BIO *bio, const char *data, int len)
{
	const struct session *session = BIO_get_data(bio);

	sendto(fd, data, (size_t)len, MSG_DONTWAIT, (const struct sockaddr *)&session->peer, sizeof session->peer);
	return len; /* what the network loses is repeated */
}

static long bio_ctrl(BIO *bio, int cmd, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return cmd == BIO_CTRL_FLUSH;
}

static bool is_of(const struct session *session, const struct sockaddr_in *peer)
{
	return session && session->peer.sin_addr.s_addr == peer->sin_addr.s_addr &&
	       session->peer.sin_port == peer->sin_port;
}

/* That of the peer, or else one that is free, or somebody else's if there is none nearby. */
static struct session **slot_of(const struct sockaddr_in *peer)
{
	const uint64_t place = (uint64_t)ntohl(peer->sin_addr.s_addr) << 16 | ntohs(peer->sin_port);
	const uint64_t first = (place * UINT64_C(0x9e3779b97f4a7c15)) >> 48;
	struct session **slot = &slots[first];

	for (unsigned i = 0; i < NEARBY; i++) {
		struct session **next = &slots[(first + i) % SLOTS];

		if (is_of(*next, peer))
			return next;
		if (*slot && !*next)
			slot = next;
	}
	return slot;
}

static void end(struct session **slot)
{
	if (!*slot)
		return;
	SSL_free((*slot)->ssl);
	free(*slot);
	*slot = NULL;
}

static void begin(struct session **slot, const struct sockaddr_in *peer)
{
	struct session *session = calloc(1, sizeof *session);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(method);

	end(slot);
	if (!session || !in || !out)
		exit(1);
	session->ssl = SSL_new(context);
	session->peer = *peer;
	session->until_ms = now_ms() + patience_ms;
	BIO_set_mem_eof_return(in, -1);
	BIO_set_data(out, session);
	BIO_set_init(out, 1);
	SSL_set_app_data(session->ssl, session);
	SSL_set_bio(session->ssl, in, out);
	SSL_set_mtu(session->ssl, RECORD_OCTETS);
	SSL_set_accept_state(session->ssl);
	*slot = session;
}

/* Goes on with what has arrived. */
static void advance(struct session *session)
{
	char data[DATAGRAM_OCTETS];

	if (!session->is_up && SSL_do_handshake(session->ssl) == 1) {
		session->is_up = true;
		session->until_ms = now_ms() + SESSION_MS;
	}
	for (int len; session->is_up && (len = SSL_read(session->ssl, data, sizeof data)) > 0;)
		SSL_write(session->ssl, data, len);
	ERR_clear_error();
}

static void input(void)
{
	unsigned char data[DATAGRAM_OCTETS];
	struct sockaddr_in peer = { 0 };
	socklen_t peer_len = sizeof peer;
	ssize_t len = recvfrom(fd, data, sizeof data, MSG_DONTWAIT, (struct sockaddr *)&peer, &peer_len);

	if (len <= HEADER_OCTETS)
		return;
	const bool hello = data[0] == HANDSHAKE && data[HEADER_OCTETS] == CLIENT_HELLO;
	struct session **slot = slot_of(&peer);
	const bool known = is_of(*slot, &peer);
	if (hello && (!known || (*slot)->is_up))
		begin(slot, &peer);
	else if (!known)
		return;
	BIO_write(SSL_get_rbio((*slot)->ssl), data, (int)len);
	advance(*slot);
}

static void tick(void)
{
	const uint64_t now = now_ms();

	for (unsigned i = 0; i < SLOTS; i++) {
		if (slots[i] && slots[i]->until_ms < now)
			end(&slots[i]);
		if (slots[i] && !slots[i]->is_up)
			DTLSv1_handle_timeout(slots[i]->ssl);
	}
	ERR_clear_error();
}

static void set_up(char **argv, bool with_cookies)
{
	const struct sockaddr_in at = { .sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
					.sin_port = htons((uint16_t)atoi(argv[1])) };
	const int octets = 1 << 20;

	context = SSL_CTX_new(DTLS_server_method());
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "datagrams to one peer");
	BIO_meth_set_write(method, bio_write);
	BIO_meth_set_ctrl(method, bio_ctrl);
	SSL_CTX_set_cookie_generate_cb(context, cookie_write);
	SSL_CTX_set_cookie_verify_cb(context, cookie_check);
	SSL_CTX_set_options(context, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	if (with_cookies)
		SSL_CTX_set_options(context, SSL_OP_COOKIE_EXCHANGE);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets);
	if (SSL_CTX_use_certificate_chain_file(context, argv[2]) != 1 ||
	    SSL_CTX_use_PrivateKey_file(context, argv[3], SSL_FILETYPE_PEM) != 1 ||
	    getentropy(secret, sizeof secret) != 0 || bind(fd, (const struct sockaddr *)&at, sizeof at) != 0) {
		ERR_print_errors_fp(stderr);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	struct pollfd polled = { .events = POLLIN };
	uint64_t ticked_ms = 0;

	if (argc != 4 && argc != 5) {
		fputs("usage: openssl_server PORT CHAIN KEY [no-cookies | patient]\n", stderr);
		return 2;
	}
	if (argc == 5 && strcmp(argv[4], "patient") == 0)
		patience_ms = SESSION_MS;
	set_up(argv, argc == 4 || patience_ms == SESSION_MS);
	polled.fd = fd;
	fputs("ready\n", stderr);
	for (;;) {
		if (poll(&polled, 1, TICK_MS) > 0)
			input();
		if (now_ms() >= ticked_ms + TICK_MS) {
			ticked_ms = now_ms();
			tick();
		}
	}
}
