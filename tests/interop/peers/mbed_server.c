/* A DTLS 1.2 server with Mbed TLS, PSK, cookies, a session cache and CIDs: one socket, any number of sessions. With
 * `move-first` it moves a session's address before it verifies, as libcoap up to 4.3.5 does. With `ids` it has no CIDs,
 * and with `tickets` neither CIDs nor a session cache, but tickets. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mbedtls/ssl_cache.h>
#include <mbedtls/ssl_cookie.h>
#include <mbedtls/ssl_ticket.h>

#include "tests/interop/peers/lines.h"
#include "tests/interop/peers/mbed_lines.h"

static mbedtls_ssl_config config;
static mbedtls_ssl_cookie_ctx cookies;
static mbedtls_ssl_cache_context cache;
static struct line_session *sessions[LINES_SESSIONS + 1]; /* [0] listens */
static unsigned last, own_id;
static mbedtls_ssl_ticket_context tickets;
static bool move_first, has_cids, has_tickets;
static int fd;

static void listen_again(void)
{
	sessions[0] = calloc(1, sizeof *sessions[0]);
	if (!sessions[0])
		exit(1);
	sessions[0]->fd = fd;
	lines_mint(own_id, sessions[0]->cid);
	mbed_begin(sessions[0], &config, has_cids ? LINES_CID_OCTETS : 0);
}

static struct line_session *find(const struct sockaddr_in *from, const unsigned char *cid)
{
	for (unsigned i = last; i > 0; i--) {
		if (cid ? memcmp(sessions[i]->cid, cid, LINES_CID_OCTETS) == 0
			: lines_same_addr(&sessions[i]->addr, from))
			return sessions[i];
	}
	return NULL;
}

/* A number that no session has, or that of one that has not come up: the next in turn. */
static unsigned free_number(void)
{
	static unsigned next;

	if (last < LINES_SESSIONS)
		return ++last;
	for (unsigned tries = 0; tries < LINES_SESSIONS; tries++) {
		next = next % LINES_SESSIONS + 1;
		if (!sessions[next]->established) {
			mbedtls_ssl_free(&sessions[next]->ssl);
			free(sessions[next]);
			return next;
		}
	}
	return 0;
}

static void input_hello(const struct sockaddr_in *from, const unsigned char *data, size_t len)
{
	const unsigned char *random = lines_hello_random(data, len);
	struct line_session *session = find(from, NULL);

	if (session && memcmp(session->hello_random, random, sizeof session->hello_random) == 0) {
		mbed_feed(session, data, len);
		return;
	}
	session = sessions[0];
	session->addr = *from;
	mbedtls_ssl_set_client_transport_id(&session->ssl, (const unsigned char *)from, sizeof *from);
	const bool begins = mbed_feed(session, data, len) == MBEDTLS_ERR_SSL_WANT_READ;
	const unsigned number = begins ? free_number() : 0;
	if (number == 0) {
		mbedtls_ssl_session_reset(&session->ssl);
		return;
	}
	memcpy(session->hello_random, random, sizeof session->hello_random);
	session->number = number;
	sessions[number] = session;
	listen_again();
}

/* RFC 9146, section 6. */
static void input_session(struct line_session *session, const struct sockaddr_in *from, unsigned char *data, size_t len)
{
	static unsigned char copy[LINES_DATAGRAM_OCTETS];
	const struct sockaddr_in home = session->addr;
	const bool moved = !lines_same_addr(from, &home);
	uint64_t number = 0;

	if (session->established && lines_find_cid(data, len, &number)) {
		memcpy(copy, data, len);
		const bool good = mbedtls_ssl_check_record(&session->ssl, copy, len) == 0;
		const bool newest = good && number > session->newest;

		if (newest)
			session->newest = number;
		if (moved && !good && !move_first)
			return;
		if (moved && (newest || move_first)) {
			session->addr = *from;
			lines_say_addr("moved", session->number, from);
		}
	} else if (moved && !session->established) {
		session->addr = *from;
		mbed_feed(session, data, len);
		if (!session->established)
			session->addr = home;
		return;
	}
	mbed_feed(session, data, len);
}

static void input(void)
{
	static unsigned char data[LINES_DATAGRAM_OCTETS];
	struct sockaddr_in from = { 0 };
	socklen_t from_len = sizeof from;
	uint64_t number;
	ssize_t len = recvfrom(fd, data, sizeof data, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);

	if (len <= 0)
		return;
	const unsigned char *cid = lines_find_cid(data, (size_t)len, &number);
	if (!cid && lines_hello_random(data, (size_t)len)) {
		input_hello(&from, data, (size_t)len);
		return;
	}
	struct line_session *session = find(&from, cid);
	if (session)
		input_session(session, &from, data, (size_t)len);
}

static void command(char *line)
{
	static unsigned char data[MBEDTLS_SSL_OUT_CONTENT_LEN];
	unsigned number;
	int at = 0;

	if (sscanf(line, "send %u %n", &number, &at) != 1 || number < 1 || number > last || !at)
		return;
	size_t len = lines_octets(line + at, data, sizeof data);
	if (sessions[number]->established)
		mbedtls_ssl_write(&sessions[number]->ssl, data, len);
}

static void set_up(void)
{
	mbed_config(&config, MBEDTLS_SSL_IS_SERVER);
	mbedtls_ssl_cookie_init(&cookies);
	mbedtls_ssl_cache_init(&cache);
	mbedtls_ssl_ticket_init(&tickets);
	if (mbedtls_ssl_cookie_setup(&cookies, mbed_random, NULL) != 0 ||
	    mbedtls_ssl_conf_cid(&config, has_cids ? LINES_CID_OCTETS : 0, MBEDTLS_SSL_UNEXPECTED_CID_IGNORE) != 0)
		exit(1);
	mbedtls_ssl_conf_dtls_cookies(&config, mbedtls_ssl_cookie_write, mbedtls_ssl_cookie_check, &cookies);
	mbedtls_ssl_cache_set_max_entries(&cache, LINES_SESSIONS);
	if (!has_tickets)
		mbedtls_ssl_conf_session_cache(&config, &cache, mbedtls_ssl_cache_get, mbedtls_ssl_cache_set);
	else if (mbedtls_ssl_ticket_setup(&tickets, mbed_random, NULL, MBEDTLS_CIPHER_AES_256_GCM, 86400) != 0)
		exit(1);
	else
		mbedtls_ssl_conf_session_tickets_cb(&config, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse,
						    &tickets);
	listen_again();
}

int main(int argc, char **argv)
{
	struct pollfd polled[] = { { .events = POLLIN }, { .fd = STDIN_FILENO, .events = POLLIN } };

	if (argc != 3 && argc != 4) {
		fputs("usage: mbed_server PORT ID [move-first|ids|tickets]\n", stderr);
		return 2;
	}
	own_id = (unsigned)atoi(argv[2]);
	move_first = argc == 4 && strcmp(argv[3], "move-first") == 0;
	has_tickets = argc == 4 && strcmp(argv[3], "tickets") == 0;
	has_cids = argc == 3 || move_first;
	polled[0].fd = fd = lines_socket("127.0.0.1", (unsigned)atoi(argv[1]));
	set_up();
	puts("ready");
	fflush(stdout);
	for (;;) {
		poll(polled, 2, 50);
		if (polled[0].revents)
			input();
		if (polled[1].revents)
			lines_read(command);
		for (unsigned i = 1; i <= last; i++) {
			if (mbed_is_due(sessions[i]))
				mbed_feed(sessions[i], NULL, 0);
		}
	}
}
