/* DTLS 1.2 clients with OpenSSL: so many, so many a second, each from a port of its own. Each makes a handshake, sends
 * a word, each second, and waits for its echo. The last line is JSON: how many did, and how many with at most two
 * retransmissions of theirs. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

enum {
	CLIENTS = 8192, /* at once */
	PATIENCE_MS = 60000,
	ADDRESSES = 200, /* that they leave from, from FROM on */
	FEW_RETRANSMISSIONS = 2,
	PERIOD_MS = 10,
	WORD_MS = 1000,
	RECORD_OCTETS = 1400,
};

struct client {
	SSL *ssl;
	uint64_t begun_ms, said_ms;
	unsigned resent;
	bool is_up;
};

static struct client clients[CLIENTS];
static struct pollfd polled[CLIENTS];
static unsigned count;
static SSL_CTX *context;
static struct sockaddr_in target, from;
static struct {
	unsigned complete, soon, failed, resent;
} total;

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void begin(unsigned number)
{
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	struct sockaddr_in at = from;
	BIO *bio = BIO_new_dgram(fd, BIO_CLOSE);
	SSL *ssl = SSL_new(context);

	at.sin_addr.s_addr = htonl(ntohl(from.sin_addr.s_addr) + number % ADDRESSES);
	if (count == CLIENTS || fd < 0 || !bio || !ssl || bind(fd, (const struct sockaddr *)&at, sizeof at) != 0 ||
	    connect(fd, (const struct sockaddr *)&target, sizeof target) != 0) {
		perror("openssl_clients");
		exit(1);
	}
	BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, &target);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_mtu(ssl, RECORD_OCTETS);
	SSL_set_connect_state(ssl);
	SSL_do_handshake(ssl);
	clients[count] = (struct client){ .ssl = ssl, .begun_ms = now_ms() };
	polled[count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
}

static void end(unsigned at, bool complete)
{
	total.complete += complete;
	total.soon += complete && clients[at].resent <= FEW_RETRANSMISSIONS;
	total.failed += !complete;
	total.resent += clients[at].resent;
	SSL_free(clients[at].ssl);
	clients[at] = clients[--count];
	polled[at] = polled[count];
}

/* Whether its word has come back. */
static bool advance(struct client *client)
{
	char word[64];

	client->is_up = client->is_up || SSL_do_handshake(client->ssl) == 1;
	if (client->is_up && now_ms() >= client->said_ms + WORD_MS) {
		client->said_ms = now_ms();
		SSL_write(client->ssl, "word", 4);
	}
	return client->is_up && SSL_read(client->ssl, word, sizeof word) == 4;
}

/* The library repeats a flight whenever it is asked to go on and its time is over, and does not tell: so before it. */
static void repeat(struct client *client)
{
	struct timeval left;

	if (client->is_up || !DTLSv1_get_timeout(client->ssl, &left) || left.tv_sec || left.tv_usec)
		return;
	client->resent++;
	DTLSv1_handle_timeout(client->ssl);
}

/* A record that came before its time waits in the library, and no socket tells of it: all are looked at. */
static void look(void)
{
	for (unsigned i = count; i-- > 0;) {
		repeat(&clients[i]);
		if (advance(&clients[i]))
			end(i, true);
		else if (now_ms() > clients[i].begun_ms + PATIENCE_MS)
			end(i, false);
		ERR_clear_error();
	}
}

static int set_up(char **argv)
{
	char *colon = strrchr(argv[1], ':');

	if (!colon)
		return -1;
	*colon = '\0';
	context = SSL_CTX_new(DTLS_client_method());
	SSL_CTX_set_options(context, SSL_OP_NO_QUERY_MTU);
	target.sin_family = from.sin_family = AF_INET;
	target.sin_port = htons((uint16_t)atoi(colon + 1));
	if (SSL_CTX_set_cipher_list(context, "ECDHE-ECDSA-AES128-GCM-SHA256") != 1 ||
	    inet_pton(AF_INET, argv[1], &target.sin_addr) != 1 || inet_pton(AF_INET, argv[4], &from.sin_addr) != 1)
		return -1;
	return 0;
}

int main(int argc, char **argv)
{
	unsigned begun = 0;

	if (argc != 5 || set_up(argv)) {
		fputs("usage: openssl_clients ADDRESS:PORT COUNT PER_SECOND FROM\n", stderr);
		return 2;
	}
	const unsigned many = (unsigned)atoi(argv[2]);
	const double per_ms = atof(argv[3]) / 1000;
	const uint64_t start_ms = now_ms();
	while (begun < many || count) {
		const double due = (double)(now_ms() - start_ms) * per_ms + 1;
		while (begun < many && begun < due)
			begin(begun++);
		poll(polled, count, PERIOD_MS);
		look();
	}
	printf("{\"complete\": %u, \"within_two\": %u, \"failed\": %u, \"resent\": %u, \"seconds\": %.3f}\n",
	       total.complete, total.soon, total.failed, total.resent, (double)(now_ms() - start_ms) / 1000);
	return 0;
}
