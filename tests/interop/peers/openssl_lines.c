/* A DTLS 1.2 server, or devices, with OpenSSL and PSK. OpenSSL has no CIDs: the server knows a session by its address.
 * It says and takes the lines of lines.h and of device.c. With `ids` or `tickets` the server resumes sessions, by what
 * it keeps or by what the device keeps; with `resumes` devices offer that when they begin again. */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>

#include "tests/interop/peers/lines.h"

enum { SESSIONS = 1024, RECORD_OCTETS = 1400 };

struct session {
	unsigned number; /* 0: unused */
	unsigned begun;  /* the server's: how many it has begun by then */
	bool established;
	int fd;
	struct sockaddr_in addr;
	unsigned char hello_random[32];
	SSL *ssl;
};

static struct session *sessions[SESSIONS]; /* of the server from 1 on, of devices by their numbers */
static unsigned last;                      /* the newest of the server */
static unsigned char secret[32];           /* of cookies */
static BIO_METHOD *method;
static SSL_CTX *context;
static int listener;
static bool resumes;

static unsigned give_psk(SSL *ssl, const char *hint, char *identity, unsigned identity_max, unsigned char *psk,
			 unsigned psk_max)
{
	(void)ssl, (void)hint;
	if (psk_max < sizeof lines_psk)
		return 0;
	snprintf(identity, identity_max, "%s", lines_identity);
	memcpy(psk, lines_psk, sizeof lines_psk);
	return sizeof lines_psk;
}

static unsigned find_psk(SSL *ssl, const char *identity, unsigned char *psk, unsigned max)
{
	(void)ssl;
	if (strcmp(identity, lines_identity) != 0 || max < sizeof lines_psk)
		return 0;
	memcpy(psk, lines_psk, sizeof lines_psk);
	return sizeof lines_psk;
}

static int write_cookie(SSL *ssl, unsigned char *cookie, unsigned *len)
{
	const struct session *session = SSL_get_app_data(ssl);
	unsigned char place[6];

	memcpy(place, &session->addr.sin_addr, 4);
	memcpy(place + 4, &session->addr.sin_port, 2);
	return HMAC(EVP_sha256(), secret, sizeof secret, place, sizeof place, cookie, len) != NULL;
}

static int check_cookie(SSL *ssl, const unsigned char *cookie, unsigned len)
{
	unsigned char due[EVP_MAX_MD_SIZE];
	unsigned due_len;

	return write_cookie(ssl, due, &due_len) && len == due_len && CRYPTO_memcmp(cookie, due, len) == 0;
}

static int bio_write(BIO *bio, const char *data, int len)
{
	const struct session *session = BIO_get_data(bio);

	sendto(session->fd, data, (size_t)len, MSG_DONTWAIT, (const struct sockaddr *)&session->addr,
	       sizeof session->addr);
	return len; /* what the network loses is repeated */
}

static long bio_ctrl(BIO *bio, int cmd, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return cmd == BIO_CTRL_FLUSH;
}

static void begin(struct session *session, bool is_server)
{
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(method);

	session->ssl = SSL_new(context);
	if (!in || !out || !session->ssl)
		exit(1);
	session->established = false;
	BIO_set_mem_eof_return(in, -1);
	BIO_set_data(out, session);
	BIO_set_init(out, 1);
	SSL_set_app_data(session->ssl, session);
	SSL_set_bio(session->ssl, in, out);
	SSL_set_mtu(session->ssl, RECORD_OCTETS);
	if (is_server)
		SSL_set_accept_state(session->ssl);
	else
		SSL_set_connect_state(session->ssl);
}

/* Goes on with a datagram; with none, a timer may be due. */
static void feed(struct session *session, const unsigned char *data, size_t len)
{
	unsigned char got[RECORD_OCTETS];

	if (len > 0)
		BIO_write(SSL_get_rbio(session->ssl), data, (int)len);
	if (!session->established && SSL_do_handshake(session->ssl) == 1) {
		session->established = true;
		lines_say_addr("open", session->number, &session->addr);
	}
	for (int read; session->established && (read = SSL_read(session->ssl, got, sizeof got)) > 0;)
		lines_say_data(session->number, got, (size_t)read);
	if (SSL_get_shutdown(session->ssl) & SSL_RECEIVED_SHUTDOWN) {
		lines_say("closed", session->number, "by the other side");
		session->established = false;
	}
	ERR_clear_error();
}

static void tick(void)
{
	for (unsigned i = 1; i < SESSIONS; i++) {
		if (sessions[i] && !sessions[i]->established)
			DTLSv1_handle_timeout(sessions[i]->ssl);
	}
	ERR_clear_error();
}

/* The newest, whatever its number. */
static struct session *find(const struct sockaddr_in *addr)
{
	struct session *newest = NULL;

	for (unsigned i = 1; i <= last; i++) {
		if (lines_same_addr(&sessions[i]->addr, addr) && (!newest || sessions[i]->begun > newest->begun))
			newest = sessions[i];
	}
	return newest;
}

/* A number that no session has, or that of one that has not come up: the next in turn. */
static unsigned free_number(void)
{
	static unsigned next;

	if (last + 2 < SESSIONS)
		return ++last;
	for (unsigned tries = 0; tries < last; tries++) {
		next = next % last + 1;
		if (!sessions[next]->established) {
			SSL_free(sessions[next]->ssl);
			free(sessions[next]);
			return next;
		}
	}
	exit(1);
}

static void input_server(void)
{
	static unsigned char data[LINES_DATAGRAM_OCTETS];
	static unsigned begun;
	struct sockaddr_in from = { 0 };
	socklen_t from_len = sizeof from;
	ssize_t len = recvfrom(listener, data, sizeof data, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);

	if (len <= 0)
		return;
	const unsigned char *random = lines_hello_random(data, (size_t)len);
	struct session *session = find(&from);
	if (random && (!session || memcmp(session->hello_random, random, sizeof session->hello_random) != 0)) {
		session = calloc(1, sizeof *session);
		if (!session)
			exit(1);
		session->number = free_number();
		session->begun = ++begun;
		session->fd = listener;
		session->addr = from;
		memcpy(session->hello_random, random, sizeof session->hello_random);
		begin(session, true);
		sessions[session->number] = session;
	}
	if (session)
		feed(session, data, (size_t)len);
}

static void input_device(struct session *device)
{
	static unsigned char data[LINES_DATAGRAM_OCTETS];
	ssize_t len = recv(device->fd, data, sizeof data, MSG_DONTWAIT);

	if (len > 0)
		feed(device, data, (size_t)len);
}

static void begin_device(unsigned number, const char *target)
{
	struct session *device = calloc(1, sizeof *device);

	if (!device)
		exit(1);
	device->number = number;
	device->fd = lines_socket("127.0.0.1", 0);
	device->addr = lines_addr(target);
	sessions[number] = device;
	begin(device, false);
	feed(device, NULL, 0);
}

static void begin_again(struct session *device)
{
	SSL_SESSION *known = resumes ? SSL_get1_session(device->ssl) : NULL;

	/* A session that was not shut down counts as broken, and is not resumed. */
	SSL_set_shutdown(device->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(device->ssl);
	begin(device, false);
	if (known)
		SSL_set_session(device->ssl, known);
	SSL_SESSION_free(known);
	feed(device, NULL, 0);
}

static void command(char *line)
{
	static unsigned char data[RECORD_OCTETS];
	char verb[8];
	unsigned number;
	int at = 0;

	if (sscanf(line, "%7s %u %n", verb, &number, &at) < 2 || number < 1 || number >= SESSIONS - 1)
		return;
	struct session *session = sessions[number];
	if (strcmp(verb, "new") == 0 && !session) {
		begin_device(number, line + at);
	} else if (strcmp(verb, "again") == 0 && session) {
		begin_again(session);
	} else if (strcmp(verb, "send") == 0 && session && session->established) {
		SSL_write(session->ssl, data, (int)lines_octets(line + at, data, sizeof data));
		ERR_clear_error();
	}
}

/* `how`: NULL, or as the command line says. */
static void set_up(bool is_server, const char *how)
{
	static const unsigned char name[] = "lines";
	const bool by_id = how && strcmp(how, "ids") == 0, by_ticket = how && !by_id;

	context = SSL_CTX_new(is_server ? DTLS_server_method() : DTLS_client_method());
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "datagrams to one peer");
	BIO_meth_set_write(method, bio_write);
	BIO_meth_set_ctrl(method, bio_ctrl);
	SSL_CTX_set_options(context, SSL_OP_NO_QUERY_MTU | (by_ticket ? 0 : SSL_OP_NO_TICKET));
	SSL_CTX_set_session_cache_mode(context, by_id ? SSL_SESS_CACHE_SERVER : SSL_SESS_CACHE_OFF);
	SSL_CTX_set_session_id_context(context, name, sizeof name - 1);
	resumes = how != NULL;
	SSL_CTX_set_psk_client_callback(context, give_psk);
	SSL_CTX_set_psk_server_callback(context, find_psk);
	if (is_server) {
		SSL_CTX_set_cookie_generate_cb(context, write_cookie);
		SSL_CTX_set_cookie_verify_cb(context, check_cookie);
		SSL_CTX_set_options(context, SSL_OP_COOKIE_EXCHANGE);
	}
	if (SSL_CTX_set_cipher_list(context, "PSK:@SECLEVEL=0") != 1 ||
	    getrandom(secret, sizeof secret, 0) != sizeof secret)
		exit(1);
}

int main(int argc, char **argv)
{
	const bool is_server = argc >= 4 && strcmp(argv[1], "server") == 0;
	const int words = is_server ? 4 : 2;
	struct pollfd polled[SESSIONS];

	if (argc < words || argc > words + 1 || (!is_server && strcmp(argv[1], "device") != 0)) {
		fputs("usage: openssl_lines server PORT ID [ids|tickets] | device [resumes]\n", stderr);
		return 2;
	}
	set_up(is_server, argc > words ? argv[words] : NULL);
	listener = is_server ? lines_socket("127.0.0.1", (unsigned)atoi(argv[2])) : -1;
	puts("ready");
	fflush(stdout);
	for (;;) {
		for (unsigned i = 0; i < SESSIONS; i++)
			polled[i] = (struct pollfd){ .fd = !is_server && sessions[i] ? sessions[i]->fd : -1,
						     .events = POLLIN };
		polled[0].fd = is_server ? listener : -1;
		struct pollfd *commands = &polled[SESSIONS - 1];
		commands->fd = STDIN_FILENO;
		poll(polled, SESSIONS, 50);
		if (polled[0].revents)
			input_server();
		for (unsigned i = 1; i < SESSIONS - 1; i++) {
			if (polled[i].revents)
				input_device(sessions[i]);
		}
		if (commands->revents)
			lines_read(command);
		tick();
	}
}
