/* Servers and ClientHellos. */
#include "tests/simulation/path/backend_priv.h"
#include "tests/simulation/path/world.h"

enum { FLIGHT_AGAIN_MS = 3500, FLIGHT_TRIES = 5 };

static uint64_t cookie_of(int member, const struct addr *peer, uint64_t random)
{
	const struct siphash_key key = { (uint64_t)member, random };

	return siphash_addr(&key, peer, true);
}

static struct wire_cid cid_mint(const struct world *world, int member, uint64_t random)
{
	const struct cid_layout *layout = balancer_layout(member / POOL_MEMBERS);
	struct wire_cid cid = { .len = layout->length };

	memcpy(cid.octets, &random, sizeof cid.octets);
	if (layout->scheme == CID_LAYOUT_ID) {
		struct server_id id = balancer_server_id(world->balancer.members[member].id);

		memcpy(cid.octets + layout->lbcid.offset, id.octets, id.len);
	}
	return cid;
}

/* The first flight. With a ticket the server's Finished is in it; its record is protected by `seal`. */
static void say_hello(struct world *world, struct datagram *datagram, const struct wire_hello *hello,
		      const struct wire_seal *seal, enum wire_cut cut)
{
	const struct wire_message message = { WIRE_FINISHED, 0, 0 };
	struct wire wires[2] = { 0 };
	struct datagram *second = NULL, *last = datagram;

	wire_add_server_hello(wires, hello, cut);
	datagram->wire = wires[0];
	if (wires[1].len) {
		last = second = network_take(world);
		second->from = datagram->from;
		second->to = datagram->to;
		second->session = datagram->session;
		second->wire = wires[1];
	}
	if (hello->v13) {
		wire_add_protected(&last->wire, seal, &message, 300);
	} else if (hello->ticket) {
		wire_add_change_cipher(&last->wire);
		wire_add_protected(&last->wire, seal, &message, WIRE_LEAST);
	}
	backend_send(world, datagram);
	/* Behind the first one also with jitter: nobody in the middle puts fragments in order. */
	if (second)
		network_send(world, second, LEG_ENDPOINT, world->traits.jitter_ms);
}

static void answer_hello(struct world *world, struct session *session)
{
	struct wire_hello hello = { .v13 = session->v13,
				    .random = session->server_random,
				    .ticket = session->resumed ? session->server_random | 1 : 0,
				    .has_cid = true,
				    .cid = session->cid };
	struct wire_seal seal = backend_seal(world, session, WIRE_HANDSHAKE, session->v13 ? 2 : 1);

	say_hello(world, backend_reply(world, session->member, &session->peer, session), &hello, &seal, session->cut);
}

void backend_repeat_flight(struct world *world, int slot, uint32_t generation)
{
	struct session *session = backend_session(world, (struct session_name){ slot, generation });

	if (!session || session->state != SESSION_HANDSHAKING || session->flight_tries++ == FLIGHT_TRIES)
		return;
	answer_hello(world, session);
	world_schedule(world, FLIGHT_AGAIN_MS, EVENT_FLIGHT, slot, generation);
}

/* Nobody that the world knows sent it. The handshake goes as far as it can without keys. */
static void answer_stranger(struct world *world, int member, const struct datagram *datagram,
			    const struct wire_hello *client)
{
	const struct wire_hello hello = { .v13 = client->v13,
					  .random = ~client->random,
					  .ticket = client->v13 ? 0 : client->ticket,
					  .has_cid = client->has_cid,
					  .cid = cid_mint(world, member, client->random * 5) };
	const struct wire_seal seal = { client->v13, WIRE_HANDSHAKE, client->v13 ? 2 : 1, NULL, client->random, 1 };

	if (hello.has_cid)
		givens_gave(world, member, datagram, &hello.cid);
	say_hello(world, backend_reply(world, member, &datagram->from, NULL), &hello, &seal,
		  client->random % WIRE_CUTS);
}

/* A new handshake takes the place of one that its peer has given up. */
static void give_up(struct world *world, int member, const struct addr *peer)
{
	for (int i = 0; i < SESSIONS; i++) {
		struct session *session = &world->sessions[i];

		if (session->state == SESSION_HANDSHAKING && session->member == member &&
		    addr_equal(&session->peer, peer))
			session->state = SESSION_NONE;
	}
}

static void session_begin(struct world *world, int member, const struct datagram *datagram,
			  const struct wire_hello *client)
{
	int number = world->holder[datagram->address], slot;
	struct device *device = &world->devices[number == NOBODY ? 0 : number];
	struct session *session;
	uint32_t generation;

	if (number == NOBODY || device->client_random != client->random) {
		answer_stranger(world, member, datagram, client);
		return;
	}
	give_up(world, member, &datagram->from);
	slot = number * SESSIONS_EACH + (int)(device->sessions++ % SESSIONS_EACH);
	session = &world->sessions[slot];
	generation = session->generation + 1;
	*session = (struct session){
		.state = SESSION_HANDSHAKING, .generation = generation, .device = number, .member = member
	};
	session->cid = cid_mint(world, member, dice_roll(&world->dice));
	session->client_random = client->random;
	session->server_random = dice_roll(&world->dice);
	session->key = device_key(number, client->random, session->server_random);
	session->v13 = client->v13;
	session->resumed = client->ticket && !client->v13;
	session->cut = dice_below(&world->dice, WIRE_CUTS);
	session->peer = session->first = datagram->from;
	invariants_session_begins(world, slot, datagram);
	givens_gave(world, member, datagram, &session->cid);
	answer_hello(world, session);
	world_schedule(world, FLIGHT_AGAIN_MS, EVENT_FLIGHT, slot, generation);
}

void backend_take_hello(struct world *world, int member, const struct datagram *datagram, const struct wire_part *part)
{
	struct wire_hello client;
	struct datagram *reply;
	uint64_t cookie;

	if (!wire_read_client_hello(part, &client))
		return;
	cookie = cookie_of(member, &datagram->from, client.random);
	if (!client.has_cookie || client.cookie != cookie) {
		reply = backend_reply(world, member, &datagram->from, NULL);
		wire_add_verify_request(&reply->wire, client.v13, cookie);
		backend_send(world, reply);
		return;
	}
	for (int i = 0; i < SESSIONS; i++) {
		struct session *session = &world->sessions[i];

		if (session->state == SESSION_NONE || session->client_random != client.random)
			continue;
		if (session->member != member && session->state == SESSION_HANDSHAKING)
			continue;
		if (session->state == SESSION_HANDSHAKING && addr_equal(&session->peer, &datagram->from))
			answer_hello(world, session);
		return;
	}
	session_begin(world, member, datagram, &client);
}
