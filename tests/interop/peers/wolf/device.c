/* DTLS devices with wolfSSL and PSK, each with a socket of its own: the lines of ../device.c. With "cid" they take CIDs
 * of six octets, else empty ones. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/interop/peers/wolf/wolf.h"

enum { DEVICES = 256 };

static struct wolf_session *devices[DEVICES];
static WOLFSSL_CTX *ctx;
static unsigned own_cid_len;

static int send_datagram(WOLFSSL *ssl, char *data, int len, void *own)
{
	const struct wolf_session *device = own;

	(void)ssl;
	sendto(device->fd, data, (size_t)len, 0, (const struct sockaddr *)&device->addr, sizeof device->addr);
	return len;
}

static void advance(struct wolf_session *device)
{
	static unsigned char data[16384];
	int n;

	if (!device->established) {
		if (wolfSSL_connect(device->ssl) == WOLFSSL_SUCCESS) {
			device->established = true;
			lines_say_addr("open", device->number, &device->addr);
		}
		device->expires_ms = lines_now_ms() + WOLF_TIMEOUT_MS;
	}
	while (device->established && (n = wolfSSL_read(device->ssl, data, sizeof data)) != 0) {
		int err = n < 0 ? wolfSSL_get_error(device->ssl, n) : 0;

		if (n > 0)
			lines_say_data(device->number, data, (size_t)n);
		else if (err == WOLFSSL_ERROR_WANT_READ)
			break;
		else
			wolf_end(device, err);
	}
}

static void begin(unsigned number, const struct sockaddr_in *target)
{
	unsigned char cid[LINES_CID_OCTETS];

	lines_mint(0, cid);
	struct wolf_session *device = wolf_begin(ctx, cid, own_cid_len);
	device->number = number;
	device->fd = lines_socket("127.0.0.1", 0);
	device->addr = *target;
	devices[number] = device;
	advance(device);
}

static void command(char *line)
{
	static unsigned char data[16384];
	char verb[8];
	unsigned number;
	int at = 0;

	if (sscanf(line, "%7s %u %n", verb, &number, &at) < 2 || number < 1 || number >= DEVICES)
		return;
	if (strcmp(verb, "new") == 0 && !devices[number]) {
		struct sockaddr_in target = lines_addr(line + at);
		begin(number, &target);
	} else if (strcmp(verb, "send") == 0 && devices[number] && devices[number]->established) {
		size_t len = lines_octets(line + at, data, sizeof data);
		wolfSSL_write(devices[number]->ssl, data, (int)len);
	}
}

static void input(struct wolf_session *device)
{
	static unsigned char data[LINES_DATAGRAM_OCTETS];
	ssize_t len = recv(device->fd, data, sizeof data, MSG_DONTWAIT);

	if (len <= 0)
		return;
	device->in = data;
	device->in_len = (size_t)len;
	advance(device);
	device->in = NULL;
}

int wolf_devices(bool speaks13, bool takes_cids)
{
	struct pollfd polled[DEVICES];

	own_cid_len = takes_cids ? LINES_CID_OCTETS : 0;
	ctx = wolf_context(speaks13 ? wolfDTLSv1_3_client_method() : wolfDTLSv1_2_client_method(), speaks13);
	wolfSSL_CTX_SetIOSend(ctx, send_datagram);
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
			if (devices[i] && wolf_repeats(devices[i]))
				advance(devices[i]);
		}
		if (polled[0].revents)
			lines_read(command);
	}
}
