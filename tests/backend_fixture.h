/* A server and its clients over real sockets on loopback, in this process: for check_backend.c and check_handover.c. */
#ifndef CIDLB_TESTS_BACKEND_FIXTURE_H
#define CIDLB_TESTS_BACKEND_FIXTURE_H

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "clock.h"
#include "random.h"
#include "server.h"
#include "udp.h"

enum { DATAGRAM = 2048, SERVER_ID = 3, CID_OCTETS = 6 };

static const uint8_t key[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

struct client {
	struct session_config *config;
	struct session *session;
	int fd;    /* where it is */
	bool held; /* keep the next datagram instead of sending it */
	uint8_t kept[DATAGRAM];
	size_t kept_len;
	uint8_t received[DATAGRAM]; /* the last datagram, as it came */
	uint8_t answer[DATAGRAM];
	size_t answer_len;
	unsigned answers;
};

static struct event_base *base;
static struct server *server;
static struct server_options options_used;

static inline void on_send(void *ctx, const uint8_t *data, size_t len)
{
	struct client *client = ctx;

	ck_assert_uint_le(len, DATAGRAM);
	memcpy(client->kept, data, len);
	client->kept_len = len;
	if (!client->held)
		ck_assert_int_eq(udp_send(client->fd, NULL, data, len), 0);
}

static inline void on_deliver(void *ctx, const uint8_t *data, size_t len)
{
	struct client *client = ctx;

	ck_assert_uint_le(len, DATAGRAM);
	memcpy(client->answer, data, len);
	client->answer_len = len;
	client->answers++;
}

/* An address of this process's own: no other test takes its ports while no server is at them. */
static inline void server_start(uint8_t cid_length)
{
	unsigned pid = (unsigned)getpid();

	options_used = (struct server_options){
		.id = SERVER_ID,
		.cid = { .scheme = LBCID_NODE_ID, .length = cid_length, .size = 1 },
		.notify_ms = 1000,
		.psk_identity = "device",
		.psk_key_len = sizeof key,
	};
	memcpy(options_used.psk_key, key, sizeof key);
	base = event_base_new();
	for (uint16_t port = 20000;; port++) {
		char text[ADDR_TEXT_OCTETS];
		snprintf(text, sizeof text, "127.%u.%u.%u:%u", 1 + (pid >> 16 & 63), pid >> 8 & 255, pid & 255, port);
		ck_assert_int_eq(addr_parse(&options_used.listen, text), 0);
		int rc = server_new(&server, base, &options_used);
		if (rc == 0)
			break;
		ck_assert_int_eq(rc, -EADDRINUSE);
	}
}

static inline void server_stop(void)
{
	server_free(server);
	event_base_free(base);
	libevent_global_shutdown();
}

static inline int new_place(void)
{
	uint16_t port;
	int fd = udp_connect(&options_used.listen, NULL, 0, &port);

	ck_assert_int_ge(fd, 0);
	return fd;
}

/* What has come to it. */
static inline bool take_datagrams(struct client *client)
{
	bool any = false;
	ssize_t len;

	while ((len = udp_receive(client->fd, client->received, sizeof client->received, NULL)) >= 0) {
		session_input(client->session, client->received, (size_t)len, clock_ms());
		any = true;
	}
	return any;
}

/* A datagram to loopback is in the receiver's queue when send returns. */
static inline void run(struct client *client)
{
	do
		event_base_loop(base, EVLOOP_NONBLOCK);
	while (take_datagrams(client));
}

/* At `fd`, with its ClientHello on the way; use_cid false: offers no CID. */
static inline struct client *client_new(int fd, bool use_cid)
{
	static const struct session_callbacks callbacks = { on_send, on_deliver };
	const struct session_options options = {
		.role = SESSION_CLIENT,
		.psk_identity = "device",
		.psk_key = key,
		.psk_key_len = sizeof key,
		.use_cid = use_cid,
		.random = random_octets,
	};
	struct client *client = calloc(1, sizeof *client);

	ck_assert_ptr_nonnull(client);
	client->fd = fd;
	ck_assert_int_eq(session_config_new(&client->config, &options), 0);
	ck_assert_int_eq(session_new(&client->session, client->config, NULL, &callbacks, client), 0);
	session_start(client->session, clock_ms());
	return client;
}

static inline struct client *client_established(int fd, bool use_cid)
{
	struct client *client = client_new(fd, use_cid);

	run(client);
	ck_assert_int_eq(session_state(client->session), SESSION_ESTABLISHED);
	return client;
}

static inline void client_free(struct client *client)
{
	close(client->fd);
	session_free(client->session);
	session_config_free(client->config);
	free(client);
}

static inline void move(struct client *client)
{
	int fd = new_place();

	close(client->fd);
	client->fd = fd;
}

static inline void request(struct client *client, uint8_t id)
{
	const uint8_t echo[] = { 0x40, 0x02, 0x12, id, 0xb4, 'e', 'c', 'h', 'o', 0xff, id };

	ck_assert_int_eq(session_write(client->session, echo, sizeof echo), 0);
}

static inline bool answered(struct client *client, uint8_t id)
{
	const uint8_t expected[] = { 0x60, 0x44, 0x12, id, 0xff, id };
	unsigned before = client->answers;

	run(client);
	return client->answers == before + 1 && client->answer_len == sizeof expected &&
	       memcmp(client->answer, expected, sizeof expected) == 0;
}

static inline bool is_served(struct client *client, uint8_t id)
{
	request(client, id);
	return answered(client, id);
}

#endif
