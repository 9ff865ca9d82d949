#include "bench/programs/backend/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/lib/clock.h"
#include "bench/lib/random.h"
#include "bench/lib/udp.h"
#include "bench/programs/backend/server.h"

/* A datagram that the socket does not take is lost like any other: timers repeat what matters. */
static void send_datagram(void *ctx, const uint8_t *data, size_t len)
{
	const struct peer *peer = ctx;
	const struct server *server = peer->server;

	if (server->tunnel.keys.count) {
		/* A peer of an earlier server has come through no tunnel of this one. Any node delivers to it. */
		const struct tunnel_way *way = peer->way.node.port ? &peer->way : &server->any;
		const struct tunnel_out out = { .way = way, .tunnel = &server->tunnel, .to = &peer->addr };
		tunnel_send(server->fd, &out, data, len);
	} else {
		udp_send(server->fd, &peer->addr, data, len);
	}
}

static void deliver(void *ctx, const uint8_t *data, size_t len)
{
	struct peer *peer = ctx;

	responder_input(&peer->responder, data, len, peer->server->now_ms);
}

static void write_message(void *ctx, const uint8_t *data, size_t len)
{
	struct peer *peer = ctx;

	if (peer->session)
		session_write(peer->session, data, len);
	else
		send_datagram(peer, data, len);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx);

static int mint_cid(struct peer *peer)
{
	struct server *server = peer->server;
	uint8_t id[LBCID_MAX_ID_OCTETS] = { 0 };
	int err;

	peer->id = server->id;
	for (unsigned i = 0; i < sizeof server->id && i < server->cid.size; i++)
		id[server->cid.size - 1 - i] = (uint8_t)(server->id >> 8 * i);
	do
		err = lbcid_mint(&server->cid, id, random_octets, NULL, peer->cid);
	while (!err && table_find_cid(&server->table, peer->cid));
	return err;
}

static const struct session_callbacks callbacks = { send_datagram, deliver };

/* Makes a peer without a CID and a session. */
static int peer_begin(struct peer **out, struct server *server)
{
	uint64_t seed;

	int err = random_octets(NULL, (uint8_t *)&seed, sizeof seed);
	if (err)
		return err;
	struct peer *peer = calloc(1, sizeof *peer);
	if (!peer)
		return -ENOMEM;
	peer->server = server;
	peer->timer_at_ms = SESSION_NEVER;
	evtimer_assign(&peer->timer, server->base, on_timer, peer);
	responder_init(&peer->responder, &server->service, seed, write_message, peer);
	*out = peer;
	return 0;
}

int peer_new(struct peer **out, struct server *server)
{
	struct peer *peer;

	int err = peer_begin(&peer, server);
	if (err)
		return err;
	if (server->cid.length)
		err = mint_cid(peer);
	if (!err && !server->plain)
		err = session_new(&peer->session, server->config, server->cid.length ? peer->cid : NULL, &callbacks,
				  peer);
	if (err) {
		peer_free(peer);
		return err;
	}
	*out = peer;
	return 0;
}

int peer_load(struct peer **out, struct server *server, const uint8_t *cid, const uint8_t *saved, size_t len)
{
	struct peer *peer;

	int err = peer_begin(&peer, server);
	if (err)
		return err;
	memcpy(peer->cid, cid, server->cid.length);
	err = session_new(&peer->session, server->config, server->cid.length ? peer->cid : NULL, &callbacks, peer);
	if (!err)
		err = session_load(peer->session, saved, len);
	if (err) {
		peer_free(peer);
		return err;
	}
	*out = peer;
	return 0;
}

void peer_free(struct peer *peer)
{
	if (!peer)
		return;
	if (peer->entered) {
		struct server *server = peer->server;
		table_drop_addr(&server->table, peer);
		table_drop_cid(&server->table, peer);
		TAILQ_REMOVE(&server->by_use, peer, by_use);
		server->peer_count--;
		if (peer->established)
			server->report.sessions--;
	}
	evtimer_del(&peer->timer);
	session_free(peer->session);
	free(peer);
}

/* RFC 6347, section 4.2.8, and RFC 9146: whoever comes by its CID needs no address. */
static void take_addr(struct peer *peer)
{
	struct table *table = &peer->server->table;
	struct peer *other = table_find_addr(table, &peer->addr);

	if (other && other->established && other->uses_cid)
		table_drop_addr(table, other);
	else
		peer_free(other);
	table_add_addr(table, peer);
}

/* With a tunnel a server sees where its devices are. `before`: NULL for a new session. */
static void log_device(const struct peer *peer, const struct addr *before, const struct addr *now)
{
	char was[ADDR_TEXT_OCTETS], is[ADDR_TEXT_OCTETS];

	if (peer->server->tunnel.keys.count == 0)
		return;
	if (before)
		fprintf(stderr, "device moved from %s to %s\n", addr_format(before, was), addr_format(now, is));
	else
		fprintf(stderr, "device at %s has a session\n", addr_format(now, is));
}

static void set_established(struct peer *peer)
{
	struct server *server = peer->server;

	peer->established = true;
	log_device(peer, NULL, &peer->addr);
	if (!peer->session) {
		server->report.sessions++;
		return;
	}
	server->report.handshakes++;
	report_count_session(&server->report, 0);
	peer->uses_cid = server->cid.length && session_uses_cid(peer->session);
	if (!peer->uses_cid)
		table_drop_cid(&server->table, peer);
}

/* If there are too many, the peer that was not used for longest makes room. */
static void enter(struct peer *peer)
{
	struct server *server = peer->server;

	if (server->peer_count >= SERVER_MAX_PEERS)
		peer_free(TAILQ_FIRST(&server->by_use));
	TAILQ_INSERT_TAIL(&server->by_use, peer, by_use);
	server->peer_count++;
	peer->entered = true;
}

void peer_enter(struct peer *peer)
{
	enter(peer);
	take_addr(peer);
	if (peer->server->cid.length)
		table_add_cid(&peer->server->table, peer);
	if (!peer->session)
		set_established(peer);
}

void peer_resume(struct peer *peer)
{
	struct server *server = peer->server;

	peer->uses_cid = server->cid.length && session_uses_cid(peer->session);
	if (peer->uses_cid)
		service_add_id(&server->service, peer->id);
	enter(peer);
	if (peer->by_addr)
		take_addr(peer);
	if (peer->uses_cid)
		table_add_cid(&server->table, peer);
	peer->established = true;
	server->report.sessions_loaded++;
	report_count_session(&server->report, peer->address_changes);
	peer_settle(peer);
}

static void set_timer(struct peer *peer)
{
	uint64_t at_ms = responder_deadline(&peer->responder);

	if (peer->session && session_deadline(peer->session) < at_ms)
		at_ms = session_deadline(peer->session);
	if (at_ms == peer->timer_at_ms)
		return;
	peer->timer_at_ms = at_ms;
	if (at_ms == SESSION_NEVER) {
		evtimer_del(&peer->timer);
		return;
	}
	const struct timeval left = clock_left(at_ms, peer->server->now_ms);
	evtimer_add(&peer->timer, &left);
}

void peer_settle(struct peer *peer)
{
	enum session_state state = peer->session ? session_state(peer->session) : SESSION_ESTABLISHED;

	if (state == SESSION_CLOSED || state == SESSION_FAILED) {
		peer_free(peer);
		return;
	}
	if (state == SESSION_ESTABLISHED && !peer->established)
		set_established(peer);
	set_timer(peer);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct peer *peer = ctx;
	uint64_t now_ms = peer->server->now_ms = clock_ms();

	(void)fd;
	(void)what;
	peer->timer_at_ms = SESSION_NEVER;
	if (peer->session)
		session_expire(peer->session, now_ms);
	responder_expire(&peer->responder, now_ms);
	peer_settle(peer);
}

static void move(struct peer *peer, const struct addr *source)
{
	struct table *table = &peer->server->table;

	log_device(peer, &peer->addr, source);
	table_drop_addr(table, peer);
	peer->addr = *source;
	peer->way = peer->server->way;
	/* A peer without CID that is found there would be lost; this one is not. */
	if (!table_find_addr(table, source))
		table_add_addr(table, peer);
	report_count_change(&peer->server->report, peer->address_changes++);
}

/* Until Finished has verified there is nothing to check a record with. So the answers to this datagram go where it came
 * from, and the peer moves there only if the datagram completes the handshake. */
static void input_astray(struct peer *peer, const struct addr *source, const uint8_t *data, size_t len)
{
	struct server *server = peer->server;
	const struct addr home = peer->addr;
	const struct tunnel_way way_home = peer->way;

	peer->addr = *source;
	peer->way = server->way;
	enum session_state state = session_input(peer->session, data, len, server->now_ms);
	peer->addr = home;
	peer->way = way_home;
	if (state == SESSION_ESTABLISHED) {
		set_established(peer);
		move(peer, source);
	}
}

void peer_input(struct peer *peer, const struct addr *source, const uint8_t *data, size_t len)
{
	struct server *server = peer->server;
	bool moved = !addr_equal(source, &peer->addr);

	if (!moved)
		peer->way = server->way;
	if (!peer->session) {
		responder_input(&peer->responder, data, len, server->now_ms);
	} else if (moved && !peer->established) {
		input_astray(peer, source, data, len);
	} else {
		enum session_check check = moved ? session_check(peer->session, data, len) : SESSION_CHECK_OLD;
		if (check == SESSION_CHECK_FORGED) {
			server->report.forged_records++;
			return;
		}
		if (check == SESSION_CHECK_NEWEST)
			move(peer, source);
		session_input(peer->session, data, len, server->now_ms);
	}
	if (peer->entered) {
		TAILQ_REMOVE(&server->by_use, peer, by_use);
		TAILQ_INSERT_TAIL(&server->by_use, peer, by_use);
	}
	peer_settle(peer);
}
