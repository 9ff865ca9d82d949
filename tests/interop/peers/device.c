/* DTLS 1.2 devices with Mbed TLS, PSK and an empty CID of their own, each with a socket of its own. Lines on stdin, see
 * lines.h: new S ADDRESS:PORT, a handshake with whoever is there; again S, a new handshake from the same socket that
 * resumes the session, if the server can; send S HEX. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/interop/peers/lines.h"
#include "tests/interop/peers/mbed_lines.h"

enum { DEVICES = 256 };

static mbedtls_ssl_config config;
static struct line_session *devices[DEVICES];
static mbedtls_ssl_session saved[DEVICES];

static void begin(unsigned number, const struct sockaddr_in *target)
{
	struct line_session *device = calloc(1, sizeof *device);

	if (!device)
		exit(1);
	device->number = number;
	device->fd = lines_socket("127.0.0.1", 0);
	device->addr = *target;
	devices[number] = device;
	mbed_begin(device, &config, 0);
	mbed_feed(device, NULL, 0);
}

static void begin_again(unsigned number)
{
	struct line_session *device = devices[number];
	const bool resumes = mbedtls_ssl_get_session(&device->ssl, &saved[number]) == 0;

	mbedtls_ssl_free(&device->ssl);
	mbed_begin(device, &config, 0);
	if (resumes)
		mbedtls_ssl_set_session(&device->ssl, &saved[number]);
	mbed_feed(device, NULL, 0);
}

static void command(char *line)
{
	static unsigned char data[MBEDTLS_SSL_OUT_CONTENT_LEN];
	char verb[8];
	unsigned number;
	int at = 0;

	if (sscanf(line, "%7s %u %n", verb, &number, &at) < 2 || number < 1 || number >= DEVICES)
		return;
	if (strcmp(verb, "new") == 0 && !devices[number]) {
		struct sockaddr_in target = lines_addr(line + at);
		begin(number, &target);
	} else if (strcmp(verb, "again") == 0 && devices[number]) {
		begin_again(number);
	} else if (strcmp(verb, "send") == 0 && devices[number] && devices[number]->established) {
		size_t len = lines_octets(line + at, data, sizeof data);
		mbedtls_ssl_write(&devices[number]->ssl, data, len);
	}
}

static void input(struct line_session *device)
{
	static unsigned char data[LINES_DATAGRAM_OCTETS];
	ssize_t len = recv(device->fd, data, sizeof data, MSG_DONTWAIT);

	if (len > 0)
		mbed_feed(device, data, (size_t)len);
}

int main(void)
{
	struct pollfd polled[DEVICES];

	mbed_config(&config, MBEDTLS_SSL_IS_CLIENT);
	if (mbedtls_ssl_conf_cid(&config, 0, MBEDTLS_SSL_UNEXPECTED_CID_IGNORE) != 0)
		return 1;
	for (unsigned i = 0; i < DEVICES; i++)
		mbedtls_ssl_session_init(&saved[i]);
	puts("ready");
	fflush(stdout);
	for (;;) {
		for (unsigned i = 0; i < DEVICES; i++)
			polled[i] = (struct pollfd){ .fd = i ? (devices[i] ? devices[i]->fd : -1) : STDIN_FILENO,
						     .events = POLLIN };
		poll(polled, DEVICES, 50);
		for (unsigned i = 1; i < DEVICES; i++) {
			if (devices[i] && polled[i].revents)
				input(devices[i]);
			if (devices[i] && mbed_is_due(devices[i]))
				mbed_feed(devices[i], NULL, 0);
		}
		if (polled[0].revents)
			lines_read(command);
	}
}
