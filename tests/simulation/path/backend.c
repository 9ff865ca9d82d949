#include "tests/simulation/path/backend.h"

#include "tests/simulation/path/backend_priv.h"
#include "tests/simulation/path/world.h"

enum { ACK_OCTETS = WIRE_LEAST, WINDOW = 64 };

int backend_slot(const struct world *world, const struct session *session)
{
	return (int)(session - world->sessions);
}

enum server_kind backend_kind(const struct world *world, const struct session *session)
{
	return world->traits.kinds[session->member / POOL_MEMBERS];
}

struct session *backend_session(struct world *world, struct session_name name)
{
	if (name.slot == NOBODY || world->sessions[name.slot].generation != name.generation)
		return NULL;
	return &world->sessions[name.slot];
}

struct datagram *backend_reply(struct world *world, int member, const struct addr *to, const struct session *session)
{
	struct datagram *datagram = network_take(world);

	datagram->from = world->balancer.members[member].addr;
	datagram->to = *to;
	if (session)
		datagram->session = (struct session_name){ backend_slot(world, session), session->generation };
	return datagram;
}

void backend_send(struct world *world, struct datagram *datagram)
{
	forger_expect_downlink(world, datagram);
	network_send(world, datagram, LEG_ENDPOINT, 0);
}

struct wire_seal backend_seal(const struct world *world, struct session *session, uint8_t type, uint8_t epoch)
{
	return (struct wire_seal){ .v13 = session->v13,
				   .type = type,
				   .epoch = epoch,
				   .cid = &world->devices[session->device].own_cid,
				   .key = session->key,
				   .sequence = ++session->sequence };
}

static void say_to(struct world *world, struct session *session, const struct addr *to, struct wire_message message,
		   size_t octets)
{
	struct datagram *datagram = backend_reply(world, session->member, to, session);
	struct wire_seal seal = backend_seal(world, session, WIRE_DATA, session->v13 ? 3 : 1);

	datagram->probe = message.op == WIRE_CHALLENGE;
	wire_add_protected(&datagram->wire, &seal, &message, octets);
	backend_send(world, datagram);
}

/* Sends to where the session is. */
void backend_say(struct world *world, struct session *session, struct wire_message message, size_t octets)
{
	say_to(world, session, &session->peer, message, octets);
}

static bool same_server(const struct session *session, int member)
{
	return session->member == member ||
	       (member / POOL_MEMBERS == POOL_HASH && session->member / POOL_MEMBERS == POOL_HASH);
}

static struct session *find_cid(struct world *world, int member, const uint8_t *cid)
{
	for (int i = 0; i < SESSIONS; i++) {
		struct session *session = &world->sessions[i];

		if (session->state != SESSION_NONE && same_server(session, member) &&
		    memcmp(session->cid.octets, cid, session->cid.len) == 0)
			return session;
	}
	return NULL;
}

/* A handshake under way is found by its peer's address. Where servers share sessions, it is also found by the CID
 * behind it in the datagram, which may have brought it to another server. */
static struct session *find_handshake(struct world *world, int member, const struct datagram *datagram)
{
	for (int i = 0; i < SESSIONS; i++) {
		struct session *session = &world->sessions[i];

		if (session->state == SESSION_HANDSHAKING && session->member == member &&
		    addr_equal(&session->peer, &datagram->from))
			return session;
	}
	if (member / POOL_MEMBERS == POOL_HASH && datagram->shape.has_cid)
		return find_cid(world, member, datagram->shape.cid.octets);
	return NULL;
}

/* Takes a sequence number. False: it was seen before. */
static bool window_take(struct session *session, uint64_t sequence, bool *newest)
{
	uint64_t behind;

	*newest = sequence > session->newest;
	if (*newest) {
		uint64_t ahead = sequence - session->newest;

		session->window = ahead < WINDOW ? session->window << ahead | 1 : 1;
		session->newest = sequence;
		return true;
	}
	behind = session->newest - sequence;
	if (behind >= WINDOW || session->window & UINT64_C(1) << behind)
		return false;
	session->window |= UINT64_C(1) << behind;
	return true;
}

/* A server that resumed a session has said its Finished before. */
static void say_finished(struct world *world, struct session *session)
{
	const struct wire_message message = { session->v13 ? WIRE_ACK : WIRE_FINISHED, 0, 0 };
	struct datagram *datagram;
	struct wire_seal seal;

	if (session->resumed)
		return;
	datagram = backend_reply(world, session->member, &session->peer, session);
	seal = backend_seal(world, session, WIRE_HANDSHAKE, session->v13 ? 3 : 1);
	if (!session->v13)
		wire_add_change_cipher(&datagram->wire);
	wire_add_protected(&datagram->wire, &seal, &message, WIRE_LEAST);
	backend_send(world, datagram);
}

static void take_finished(struct world *world, int member, struct session *session, const struct datagram *datagram)
{
	bool shared = session->member / POOL_MEMBERS == POOL_HASH;

	if (session->state == SESSION_HANDSHAKING) {
		if (!session->v13 && ((!session->key_exchange && !session->resumed) || !session->change_cipher))
			return;
		if (!shared && !addr_equal(&session->peer, &datagram->from))
			return;
		session->state = SESSION_ESTABLISHED;
		givens_keyed(world, session);
		session->window = 1;
		session->member = member;
		session->peer = datagram->from;
		world_schedule(world, dice_between(&world->dice, 1000, world->traits.hasty ? 3000 : 60000),
			       EVENT_NOTIFY, backend_slot(world, session), session->generation);
	}
	if (session->newest == 0)
		say_finished(world, session);
}

static void take_message(struct world *world, struct session *session, struct wire_message message)
{
	if (message.op == WIRE_ACK && message.number > session->acked) {
		session->acked = message.number;
		tally_push(world, session, true);
	}
	if (message.op != WIRE_REQUEST)
		return;
	if (world->traits.late_percent && dice_percent(&world->dice, world->traits.late_percent)) {
		session->late = message;
		backend_say(world, session, (struct wire_message){ WIRE_ACK, message.number, 0 }, ACK_OCTETS);
		world_schedule(world, dice_between(&world->dice, 50, 1200), EVENT_LATE, backend_slot(world, session),
			       session->generation);
		return;
	}
	backend_answer(world, session, message);
}

static void move(struct world *world, struct session *session, const struct addr *to)
{
	session->peer = *to;
	session->changes++;
	tally_change(world, session);
	invariants_moved(world, session);
}

/* The newest record came from an address that is not the session's. */
static void consider_move(struct world *world, struct session *session, const struct addr *from)
{
	switch (backend_kind(world, session)) {
	case SERVER_STAYS:
		if (session->changes == 0)
			move(world, session, from);
		break;
	case SERVER_RRC:
		session->challenged = *from;
		session->challenge = (uint32_t)dice_roll(&world->dice);
		say_to(world, session, from, (struct wire_message){ WIRE_CHALLENGE, session->challenge, 0 },
		       WIRE_LEAST);
		break;
	default:
		move(world, session, from);
		break;
	}
}

static void take_response(struct world *world, struct session *session, const struct wire_message *message)
{
	if (session->challenged.port == 0 || message->number != session->challenge)
		return;
	if (!addr_equal(&session->peer, &session->challenged))
		move(world, session, &session->challenged);
	session->challenged.port = 0;
}

static void take_protected(struct world *world, int member, const struct datagram *datagram,
			   const struct wire_record *record)
{
	struct session *session = record->cid ? find_cid(world, member, record->cid) : NULL;
	struct wire_message message;
	bool newest;

	if (!session ||
	    (backend_kind(world, session) == SERVER_REJECTS && !addr_equal(&session->peer, &datagram->from)))
		return;
	if (backend_kind(world, session) == SERVER_PREMATURE && session->state == SESSION_ESTABLISHED &&
	    !addr_equal(&session->peer, &datagram->from))
		move(world, session, &datagram->from);
	if (!wire_open(record, session->key, &message))
		return;
	invariants_verified(world, backend_slot(world, session), datagram);
	if (message.op == WIRE_FINISHED) {
		take_finished(world, member, session, datagram);
		return;
	}
	if (session->state != SESSION_ESTABLISHED || !window_take(session, record->sequence, &newest))
		return;
	session->member = member;
	if (message.op == WIRE_RESPONSE) {
		take_response(world, session, &message);
		return;
	}
	if (newest && !addr_equal(&session->peer, &datagram->from))
		consider_move(world, session, &datagram->from);
	if (session->registered.port == 0 && message.op == WIRE_REQUEST && session->changes > 0)
		session->registered = datagram->from;
	take_message(world, session, message);
}

static void take_plain(struct world *world, int member, const struct datagram *datagram)
{
	struct wire_message message;
	struct datagram *reply;
	uint16_t identity;

	if (!wire_read_plain(&datagram->wire, &message, &identity) || message.op != WIRE_REQUEST ||
	    message.want < WIRE_LEAST || message.want > WIRE_OCTETS)
		return;
	reply = backend_reply(world, member, &datagram->from, NULL);
	wire_add_plain(&reply->wire, &(struct wire_message){ WIRE_ANSWER, message.number, 0 }, identity, message.want);
	backend_send(world, reply);
}

/* A record of epoch 0. `owner`: the session whose CID the datagram holds, or whose peer sent it. */
static void take_clear(struct world *world, int member, const struct datagram *datagram,
		       const struct wire_record *record, struct session *owner)
{
	struct session *session = find_handshake(world, member, datagram);
	struct wire_part part;
	size_t at = 0;

	if (owner && owner->state == SESSION_ESTABLISHED && record->type == WIRE_ALERT)
		invariants_session_hurt(world, "13: a session is ended by an alert in the clear");
	if (session && record->type == WIRE_CHANGE_CIPHER)
		session->change_cipher = true;
	while (wire_read_part(record, &at, &part)) {
		if (part.type == WIRE_CLIENT_HELLO) {
			if (owner && owner->state == SESSION_ESTABLISHED)
				invariants_session_hurt(world, "13: a session is reset by a ClientHello");
			backend_take_hello(world, member, datagram, &part);
		} else if (session) {
			session->key_exchange |= wire_read_key_exchange(&part) == session->device;
		}
	}
}

/* With rebind = "backend" a forger's own endpoint is a session's if the server moves there. */
static struct session *owner_of(struct world *world, int member, const struct datagram *datagram)
{
	struct session *session = datagram->shape.has_cid ? find_cid(world, member, datagram->shape.cid.octets) : NULL;

	if (member / POOL_MEMBERS == POOL_BACKEND)
		return session;
	for (int i = 0; !session && i < SESSIONS; i++)
		if (world->sessions[i].state == SESSION_ESTABLISHED &&
		    !addr_equal(&world->sessions[i].peer, &world->sessions[i].first) &&
		    world->sessions[i].member == member && addr_equal(&world->sessions[i].peer, &datagram->from))
			session = &world->sessions[i];
	return session;
}

void backend_receive(struct world *world, const struct datagram *datagram)
{
	int member = balancer_member(&world->balancer, &datagram->to);
	const uint8_t cid_len = member == NOBODY ? 0 : balancer_layout(member / POOL_MEMBERS)->length;
	struct wire_record record;
	struct session *owner;
	size_t at = 0;

	if (member == NOBODY)
		return;
	if (member / POOL_MEMBERS == POOL_PLAIN) {
		take_plain(world, member, datagram);
		return;
	}
	owner = owner_of(world, member, datagram);
	while (at < datagram->wire.len && wire_read(&datagram->wire, &at, cid_len, &record)) {
		if (record.epoch || record.v13)
			take_protected(world, member, datagram, &record);
		else
			take_clear(world, member, datagram, &record, owner);
	}
}

void backend_crash(struct world *world, int member)
{
	for (int i = 0; i < SESSIONS; i++)
		if (world->sessions[i].member == member && member / POOL_MEMBERS != POOL_HASH)
			world->sessions[i].state = SESSION_NONE;
}

static bool is_of(const struct session *session, int member, int other)
{
	return session->state != SESSION_NONE && (session->member == member || session->member == other);
}

bool backend_swap(struct world *world, int member, int other)
{
	struct member *members = world->balancer.members;
	const int id = members[member].id;

	for (int i = 0; i < SESSIONS; i++) {
		const struct session *session = &world->sessions[i];
		const struct device *device = &world->devices[session->device];

		if (is_of(session, member, other) && device->client_random == session->client_random &&
		    device->state != DEVICE_READY)
			return false;
	}
	for (int i = 0; i < SESSIONS; i++)
		if (is_of(&world->sessions[i], member, other) && world->sessions[i].state == SESSION_ESTABLISHED)
			world->sessions[i].member = world->sessions[i].member == member ? other : member;
	members[member].id = members[other].id;
	members[other].id = id;
	return true;
}
