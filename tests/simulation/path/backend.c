#include "tests/simulation/path/backend.h"

#include "tests/simulation/path/world.h"

enum { NOTIFY_OCTETS = 96, ACK_OCTETS = WIRE_LEAST, NOTIFY_TRIES = 3, NOTIFY_AGAIN_MS = 2000, WINDOW = 64 };

static int slot_of(const struct world *world, const struct session *session)
{
	return (int)(session - world->sessions);
}

struct session *backend_session(struct world *world, struct session_name name)
{
	if (name.slot == NOBODY || world->sessions[name.slot].generation != name.generation)
		return NULL;
	return &world->sessions[name.slot];
}

static struct datagram *reply_begin(struct world *world, int member, const struct addr *to,
				    const struct session *session)
{
	struct datagram *datagram = network_take(world);

	datagram->from = world->balancer.members[member].addr;
	datagram->to = *to;
	if (session)
		datagram->session = (struct session_name){ slot_of(world, session), session->generation };
	return datagram;
}

static void reply_end(struct world *world, struct datagram *datagram)
{
	network_send(world, datagram, LEG_ENDPOINT, 0);
}

/* Sends to where the session is. */
static void say(struct world *world, struct session *session, struct wire_message message, size_t octets)
{
	struct datagram *datagram = reply_begin(world, session->member, &session->peer, session);
	const struct device *device = &world->devices[session->device];

	wire_add_protected(&datagram->wire, DTLS_APPLICATION_DATA, &device->own_cid, session->key, ++session->sequence,
			   &message, octets);
	reply_end(world, datagram);
}

static uint64_t cookie_of(int member, const struct addr *peer, uint64_t random)
{
	const struct siphash_key key = { (uint64_t)member, random };

	return siphash_addr(&key, peer, true);
}

static struct wire_cid cid_mint(struct world *world, int member)
{
	const struct cid_layout *layout = balancer_layout(member / POOL_MEMBERS);
	uint64_t random = dice_roll(&world->dice);
	struct wire_cid cid = { .len = layout->length };

	memcpy(cid.octets, &random, sizeof cid.octets);
	if (layout->scheme == CID_LAYOUT_ID) {
		struct server_id id = balancer_server_id(world->balancer.members[member].id);

		memcpy(cid.octets + layout->lbcid.offset, id.octets, id.len);
	}
	return cid;
}

static void answer_hello(struct world *world, struct session *session)
{
	struct datagram *datagram = reply_begin(world, session->member, &session->peer, session);

	wire_add_server_hello(&datagram->wire, session->server_random, &session->cid);
	reply_end(world, datagram);
}

static void session_begin(struct world *world, int member, const struct datagram *hello, uint64_t random)
{
	int device = world->holder[hello->address], slot;
	struct session *session;
	uint32_t generation;

	if (device == NOBODY || world->devices[device].client_random != random)
		return;
	slot = device * SESSIONS_EACH + (int)(world->devices[device].sessions++ % SESSIONS_EACH);
	session = &world->sessions[slot];
	generation = session->generation + 1;
	*session = (struct session){
		.state = SESSION_HANDSHAKING, .generation = generation, .device = device, .member = member
	};
	session->cid = cid_mint(world, member);
	session->client_random = random;
	session->server_random = dice_roll(&world->dice);
	session->key = device_key(device, random, session->server_random);
	session->peer = hello->from;
	invariants_session_begins(world, slot, hello);
	answer_hello(world, session);
}

static void take_hello(struct world *world, int member, const struct datagram *datagram,
		       const struct wire_record *record)
{
	uint64_t random, shown, cookie;
	struct datagram *reply;
	bool has_cookie;

	if (!wire_read_hello(record, &random, &has_cookie, &shown))
		return;
	cookie = cookie_of(member, &datagram->from, random);
	if (!has_cookie || shown != cookie) {
		reply = reply_begin(world, member, &datagram->from, NULL);
		wire_add_verify_request(&reply->wire, cookie);
		reply_end(world, reply);
		return;
	}
	for (int i = 0; i < SESSIONS; i++) {
		struct session *session = &world->sessions[i];

		if (session->state == SESSION_NONE || session->client_random != random)
			continue;
		if (session->member != member && session->state == SESSION_HANDSHAKING)
			continue;
		if (session->state == SESSION_HANDSHAKING && addr_equal(&session->peer, &datagram->from))
			answer_hello(world, session);
		return;
	}
	session_begin(world, member, datagram, random);
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
	struct wire_record record;
	size_t at = 0;

	for (int i = 0; i < SESSIONS; i++) {
		struct session *session = &world->sessions[i];

		if (session->state == SESSION_HANDSHAKING && session->member == member &&
		    addr_equal(&session->peer, &datagram->from))
			return session;
	}
	if (member / POOL_MEMBERS == POOL_HASH)
		while (at < datagram->wire.len &&
		       wire_read(&datagram->wire, &at, balancer_layout(POOL_HASH)->length, &record))
			if (record.cid)
				return find_cid(world, member, record.cid);
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

static void say_finished(struct world *world, struct session *session)
{
	struct datagram *datagram = reply_begin(world, session->member, &session->peer, session);
	struct wire_message finished = { .op = WIRE_FINISHED };

	wire_add_change_cipher(&datagram->wire);
	wire_add_protected(&datagram->wire, DTLS_HANDSHAKE, &world->devices[session->device].own_cid, session->key,
			   ++session->sequence, &finished, WIRE_LEAST);
	reply_end(world, datagram);
}

static void take_finished(struct world *world, int member, struct session *session, const struct datagram *datagram)
{
	bool shared = session->member / POOL_MEMBERS == POOL_HASH;

	if (session->state == SESSION_HANDSHAKING) {
		if (!session->key_exchange || !session->change_cipher ||
		    (!shared && !addr_equal(&session->peer, &datagram->from)))
			return;
		session->state = SESSION_ESTABLISHED;
		session->window = 1;
		world_schedule(world, dice_between(&world->dice, 1000, 60000), EVENT_NOTIFY, slot_of(world, session),
			       session->generation);
	}
	/* Until it sends more, a device is where its Finished came from. */
	if (shared && session->newest == 0) {
		session->member = member;
		session->peer = datagram->from;
	}
	say_finished(world, session);
}

static void answer(struct world *world, struct session *session, struct wire_message message)
{
	say(world, session, (struct wire_message){ WIRE_ANSWER, message.number, 0 }, message.want);
}

static void take_message(struct world *world, struct session *session, struct wire_message message)
{
	if (message.op == WIRE_ACK)
		session->acked = message.number;
	if (message.op != WIRE_REQUEST)
		return;
	if (world->traits.late_percent && dice_percent(&world->dice, world->traits.late_percent)) {
		session->late = message;
		say(world, session, (struct wire_message){ WIRE_ACK, message.number, 0 }, ACK_OCTETS);
		world_schedule(world, dice_between(&world->dice, 50, 1200), EVENT_LATE, slot_of(world, session),
			       session->generation);
		return;
	}
	answer(world, session, message);
}

static void take_protected(struct world *world, int member, const struct datagram *datagram,
			   const struct wire_record *record)
{
	struct session *session = record->cid ? find_cid(world, member, record->cid) : NULL;
	struct wire_message message;
	bool newest;

	if (!session || !wire_open(record, session->key, &message))
		return;
	invariants_verified(world, slot_of(world, session), datagram);
	if (message.op == WIRE_FINISHED) {
		take_finished(world, member, session, datagram);
		return;
	}
	if (session->state != SESSION_ESTABLISHED || !window_take(session, record->sequence, &newest))
		return;
	session->member = member;
	if (newest && !addr_equal(&session->peer, &datagram->from)) {
		session->peer = datagram->from;
		session->changes++;
		invariants_moved(world, session);
	}
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
	reply = reply_begin(world, member, &datagram->from, NULL);
	wire_add_plain(&reply->wire, &(struct wire_message){ WIRE_ANSWER, message.number, 0 }, identity, message.want);
	reply_end(world, reply);
}

void backend_receive(struct world *world, const struct datagram *datagram)
{
	int member = balancer_member(&world->balancer, &datagram->to);
	const uint8_t cid_len = member == NOBODY ? 0 : balancer_layout(member / POOL_MEMBERS)->length;
	struct wire_record record;
	struct session *session;
	size_t at = 0;

	if (member == NOBODY)
		return;
	if (member / POOL_MEMBERS == POOL_PLAIN) {
		take_plain(world, member, datagram);
		return;
	}
	while (at < datagram->wire.len && wire_read(&datagram->wire, &at, cid_len, &record)) {
		if (record.handshake == 1)
			take_hello(world, member, datagram, &record);
		else if (record.epoch)
			take_protected(world, member, datagram, &record);
		else if ((session = find_handshake(world, member, datagram)) != NULL) {
			session->key_exchange |=
				record.handshake == 16 && wire_read_key_exchange(&record) == session->device;
			session->change_cipher |= record.type == DTLS_CHANGE_CIPHER_SPEC;
		}
	}
}

/* Sends a new notification once in a while. One that is not acknowledged is sent a few times more. */
void backend_notify(struct world *world, int slot, uint32_t generation)
{
	struct session *session = backend_session(world, (struct session_name){ slot, generation });
	unsigned next_ms = NOTIFY_AGAIN_MS;

	if (!session || session->state != SESSION_ESTABLISHED)
		return;
	if (session->acked == session->notified || session->notify_tries == NOTIFY_TRIES) {
		session->notified++;
		session->notify_tries = 0;
	}
	session->notify_tries++;
	say(world, session, (struct wire_message){ WIRE_NOTIFY, session->notified, 0 }, NOTIFY_OCTETS);
	if (session->notify_tries == NOTIFY_TRIES || dice_percent(&world->dice, 70))
		next_ms = dice_between(&world->dice, 5000, 120000);
	world_schedule(world, next_ms, EVENT_NOTIFY, slot, generation);
}

void backend_answer_late(struct world *world, int slot, uint32_t generation)
{
	struct session *session = backend_session(world, (struct session_name){ slot, generation });

	if (!session || !session->late.number)
		return;
	answer(world, session, session->late);
	session->late.number = 0;
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
