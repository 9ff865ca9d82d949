/* A DTLS 1.2 server with wolfSSL, with "1.3" one of DTLS 1.3, PSK, cookies and CIDs: one socket, any number of
 * sessions, with receive and send functions of its own, and wolfSSL_dtls_set_pending_peer() for datagrams from
 * elsewhere. Or with "connected", as many servers are: from the ClientHello on each session has a socket of its own,
 * connected to its peer, and wolfSSL's own receive function. So it never hears of another address. With "ids" it has no
 * CIDs, and resumes the sessions that it keeps. */
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/interop/peers/wolf/wolf.h"

enum { UNIFIED_MASK = 0xf0, UNIFIED_WITH_CID = 0x30 }; /* RFC 9147, section 4 */

static struct wolf_session *sessions[LINES_SESSIONS + 1]; /* [0] listens */
static unsigned last, own_id, own_port;
static bool connects, speaks13, has_cids;
static WOLFSSL_CTX *ctx;
static int fd;

static int send_datagram(WOLFSSL *ssl, char *data, int len, void *own)
{
	struct wolf_session *session = own;
	struct sockaddr_in to = session->addr;
	unsigned to_len = sizeof to;

	wolfSSL_dtls_get_peer(ssl, &to, &to_len);
	sendto(fd, data, (size_t)len, 0, (struct sockaddr *)&to, sizeof to);
	return len;
}

static void listen_again(void)
{
	static unsigned char secret[32] = "not a secret, as this is a test";
	unsigned char cid[LINES_CID_OCTETS];

	lines_mint(own_id, cid);
	struct wolf_session *session = wolf_begin(ctx, has_cids ? cid : NULL, sizeof cid);
	if (wolfSSL_DTLS_SetCookieSecret(session->ssl, secret, sizeof secret) != 0 ||
	    (speaks13 && wolfSSL_send_hrr_cookie(session->ssl, secret, sizeof secret) != WOLFSSL_SUCCESS)) {
		fputs("wolfSSL: no cookies\n", stderr);
		exit(1);
	}
	sessions[0] = session;
}

static void note_address(struct wolf_session *session)
{
	struct sockaddr_in now = session->addr;
	unsigned len = sizeof now;

	wolfSSL_dtls_get_peer(session->ssl, &now, &len);
	if (!lines_same_addr(&now, &session->addr)) {
		session->addr = now;
		if (session->established)
			lines_say_addr("moved", session->number, &now);
	}
}

static void advance(struct wolf_session *session)
{
	static unsigned char data[16384];
	int n;

	if (!session->established) {
		if (wolfSSL_accept(session->ssl) == WOLFSSL_SUCCESS) {
			session->established = true;
			note_address(session);
			lines_say_addr("open", session->number, &session->addr);
		}
		session->expires_ms = lines_now_ms() + WOLF_TIMEOUT_MS;
	}
	while (session->established && (n = wolfSSL_read(session->ssl, data, sizeof data)) != 0) {
		int err = n < 0 ? wolfSSL_get_error(session->ssl, n) : 0;

		if (n > 0) {
			note_address(session);
			lines_say_data(session->number, data, (size_t)n);
		} else if (err == WOLFSSL_ERROR_WANT_READ) {
			break;
		} else {
			wolf_end(session, err);
		}
	}
	note_address(session);
}

static struct wolf_session *find(const struct sockaddr_in *from, const unsigned char *cid)
{
	for (unsigned i = last; i > 0; i--) {
		if (cid ? memcmp(sessions[i]->cid, cid, LINES_CID_OCTETS) == 0
			: lines_same_addr(&sessions[i]->addr, from))
			return sessions[i];
	}
	return NULL;
}

static void connect_to(struct wolf_session *session, struct sockaddr_in *peer)
{
	session->fd = lines_socket("127.0.0.1", own_port);
	if (connect(session->fd, (struct sockaddr *)peer, sizeof *peer) != 0 ||
	    fcntl(session->fd, F_SETFL, O_NONBLOCK) != 0)
		exit(1);
	wolfSSL_SSLSetIORecv(session->ssl, EmbedReceiveFrom);
	wolfSSL_SSLSetIOSend(session->ssl, EmbedSendTo);
	wolfSSL_set_fd(session->ssl, session->fd);
	wolfSSL_dtls_set_peer(session->ssl, peer, sizeof *peer);
}

static void input_hello(struct sockaddr_in *from, const unsigned char *data, size_t len)
{
	struct wolf_session *session = sessions[0];

	session->addr = *from;
	session->in = data;
	session->in_len = len;
	wolfSSL_dtls_set_peer(session->ssl, from, sizeof *from);
	if (wolfDTLS_accept_stateless(session->ssl) != WOLFSSL_SUCCESS || last == LINES_SESSIONS)
		return;
	memcpy(session->hello_random, lines_hello_random(data, len), sizeof session->hello_random);
	session->number = ++last;
	sessions[last] = session;
	listen_again();
	if (connects)
		connect_to(session, from);
	advance(session);
}

static const unsigned char *find_cid(const unsigned char *data, size_t len)
{
	uint64_t number;

	if (speaks13)
		return len > LINES_CID_OCTETS && (data[0] & UNIFIED_MASK) == UNIFIED_WITH_CID ? data + 1 : NULL;
	return lines_find_cid(data, len, &number);
}

static void input(void)
{
	static unsigned char data[LINES_DATAGRAM_OCTETS];
	struct sockaddr_in from = { 0 };
	socklen_t from_len = sizeof from;
	ssize_t len = recvfrom(fd, data, sizeof data, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);

	if (len <= 0)
		return;
	const unsigned char *cid = find_cid(data, (size_t)len);
	const unsigned char *random = cid ? NULL : lines_hello_random(data, (size_t)len);
	struct wolf_session *session = find(&from, cid);
	if (random && !(session && memcmp(session->hello_random, random, sizeof session->hello_random) == 0)) {
		input_hello(&from, data, (size_t)len);
	} else if (session && !connects) {
		if (!lines_same_addr(&from, &session->addr))
			wolfSSL_dtls_set_pending_peer(session->ssl, &from, sizeof from);
		session->in = data;
		session->in_len = (size_t)len;
		advance(session);
		session->in = NULL;
	}
}

static void command(char *line)
{
	static unsigned char data[16384];
	unsigned number;
	int at = 0;

	if (sscanf(line, "send %u %n", &number, &at) != 1 || number < 1 || number > last || !at)
		return;
	size_t len = lines_octets(line + at, data, sizeof data);
	if (sessions[number]->established)
		wolfSSL_write(sessions[number]->ssl, data, (int)len);
}

int wolf_serve(unsigned port, unsigned id, enum wolf_server kind)
{
	static struct pollfd polled[2 + LINES_SESSIONS];

	connects = kind == WOLF_CONNECTED;
	speaks13 = kind == WOLF_13;
	has_cids = kind != WOLF_IDS;
	own_port = port;
	own_id = id;
	fd = lines_socket("127.0.0.1", own_port);
	polled[0] = (struct pollfd){ .fd = fd, .events = POLLIN };
	polled[1] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
	ctx = wolf_context(speaks13 ? wolfDTLSv1_3_server_method() : wolfDTLSv1_2_server_method(), speaks13);
	wolfSSL_CTX_SetIOSend(ctx, send_datagram);
	listen_again();
	puts("ready");
	fflush(stdout);
	for (;;) {
		const unsigned own = connects ? last : 0;

		for (unsigned i = 1; i <= own; i++)
			polled[1 + i] = (struct pollfd){ .fd = sessions[i]->fd, .events = POLLIN };
		poll(polled, 2 + own, 50);
		if (polled[0].revents)
			input();
		if (polled[1].revents)
			lines_read(command);
		for (unsigned i = 1; i <= own; i++)
			if (polled[1 + i].revents)
				advance(sessions[i]);
		for (unsigned i = 1; i <= last; i++)
			if (wolf_repeats(sessions[i]))
				advance(sessions[i]);
	}
}
