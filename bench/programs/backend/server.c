#include "bench/programs/backend/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/lib/clock.h"
#include "bench/lib/random.h"
#include "bench/lib/udp.h"
#include "bench/programs/backend/peer.h"
#include "common/dtls.h"

enum {
	BATCH = 64, /* datagrams per wake-up, so that timers are not starved */
	RECEIVE_OCTETS = 65536,
	HELLO_RANDOM_AT =
		DTLS_HEADER_OCTETS + DTLS_HELLO_OCTETS + 2, /* RFC 5246, section 7.4.1.2: version 2, random 32 */
};

/* A ClientHello that is the retransmission of the one which began a session belongs to that session. Any other is
 * answered by the listening peer, which keeps nothing until a cookie verifies. */
static void input_hello(struct server *server, const struct addr *source, const uint8_t *data, size_t len)
{
	struct peer *peer = table_find_addr(&server->table, source);

	if (len < HELLO_RANDOM_AT + HELLO_RANDOM_OCTETS)
		return;
	if (peer && memcmp(peer->hello_random, data + HELLO_RANDOM_AT, HELLO_RANDOM_OCTETS) == 0) {
		peer_input(peer, source, data, len);
		return;
	}
	if (!server->listening && peer_new(&server->listening, server))
		return;
	peer = server->listening;
	peer->addr = *source;
	peer->way = server->way;
	if (session_set_peer(peer->session, (const uint8_t *)source, sizeof *source))
		return;
	enum session_state state = session_input(peer->session, data, len, server->now_ms);
	if (state == SESSION_LISTENING)
		return;
	server->listening = NULL;
	if (state != SESSION_HANDSHAKING) {
		peer_free(peer);
		return;
	}
	server->report.handshakes_started++;
	memcpy(peer->hello_random, data + HELLO_RANDOM_AT, HELLO_RANDOM_OCTETS);
	peer_enter(peer);
	peer_settle(peer);
}

static void input_dtls(struct server *server, const struct addr *source, const uint8_t *data, size_t len)
{
	struct dtls_view view;
	struct peer *peer;

	dtls_walk(&view, data, len);
	switch (view.kind) {
	case DTLS_HELLO:
		server->report.hellos++;
		input_hello(server, source, data, len);
		return;
	case DTLS_CID:
		peer = server->cid.length && dtls_cid_fits(&view, data, len, server->cid.length)
			       ? table_find_cid(&server->table, data + view.cid_at)
			       : NULL;
		if (!peer)
			server->report.unknown_cid++;
		break;
	case DTLS_OTHER:
		peer = table_find_addr(&server->table, source);
		break;
	default:
		peer = NULL;
	}
	if (peer)
		peer_input(peer, source, data, len);
}

static void input_plain(struct server *server, const struct addr *source, const uint8_t *data, size_t len)
{
	struct peer *peer = table_find_addr(&server->table, source);

	if (!peer) {
		if (peer_new(&peer, server))
			return;
		peer->addr = *source;
		peer->way = server->way;
		peer_enter(peer);
	}
	peer_input(peer, source, data, len);
}

/* A node's probes come from its own address; where they do, it takes nothing for devices. */
static void learn_way(struct server *server, const struct addr *source)
{
	const bool of_probe = memcmp(source->ip, server->way.node.ip, sizeof source->ip) == 0;

	if (of_probe && server->any.node.port && !server->any_is_of_probe)
		return;
	server->any = server->way;
	server->any_is_of_probe = of_probe;
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	static uint8_t data[RECEIVE_OCTETS];
	struct server *server = ctx;
	struct addr source;

	(void)what;
	server->now_ms = clock_ms();
	for (int i = 0; i < BATCH; i++) {
		ssize_t len = udp_receive(fd, data, sizeof data, &source);
		if (len < 0)
			return;
		const int octets = server->tunnel.keys.count
					   ? tunnel_unwrap(&source, &server->way, &server->tunnel, data, (size_t)len)
					   : 0;
		if (octets < 0) {
			server->report.bad_headers++;
			continue;
		}
		if (server->tunnel.keys.count)
			learn_way(server, &source);
		server->report.datagrams++;
		(server->plain ? input_plain : input_dtls)(server, &source, data + octets, (size_t)(len - octets));
	}
}

static int set_up(struct server *server, const struct server_options *options)
{
	uint8_t key[16];
	const struct session_options session = {
		.role = SESSION_SERVER,
		.psk_identity = options->psk_identity,
		.psk_key = options->psk_key,
		.psk_key_len = options->psk_key_len,
		.certificates = options->certificates,
		.use_cid = options->cid.length > 0,
		.cid_length = options->cid.length,
		.random = random_octets,
	};

	int err = random_octets(NULL, key, sizeof key);
	if (err)
		return err;
	server->table.key = siphash_key_load(key);
	if (!options->plain && (err = session_config_new(&server->config, &session)))
		return err;
	server->fd = udp_listen(&options->listen);
	if (server->fd < 0)
		return server->fd;
	server->readable = event_new(server->base, server->fd, EV_READ | EV_PERSIST, on_readable, server);
	return server->readable && event_add(server->readable, NULL) == 0 ? 0 : -ENOMEM;
}

int server_new(struct server **out, struct event_base *base, const struct server_options *options)
{
	struct server *server = calloc(1, sizeof *server);

	if (!server)
		return -ENOMEM;
	server->fd = -1;
	server->base = base;
	server->plain = options->plain;
	server->tunnel.keys = options->tunnel;
	server->id = options->id;
	if (!options->plain)
		server->cid = options->cid;
	server->table.cid_len = server->cid.length;
	server->service = (struct service){
		.id = options->id, .notify_ms = options->notify_ms, .report = &server->report, .steer = options->steer
	};
	server->now_ms = clock_ms();
	TAILQ_INIT(&server->by_use);
	int err = set_up(server, options);
	if (err) {
		server_free(server);
		return err;
	}
	*out = server;
	return 0;
}

void server_free(struct server *server)
{
	if (!server)
		return;
	while (!TAILQ_EMPTY(&server->by_use))
		peer_free(TAILQ_FIRST(&server->by_use));
	peer_free(server->listening);
	session_config_free(server->config);
	if (server->readable)
		event_free(server->readable);
	if (server->fd >= 0)
		close(server->fd);
	free(server);
}
