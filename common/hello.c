#include "hello.h"

#include "hello_read.h"

enum {
	FREE_UNIT = 32,      /* octets */
	HEADERS = 13 + 12,   /* of a ClientHello in one record */
	POINT_MIN = 1 << 16, /* a small point would let short cookies be told apart by their size */
	HASHED_OCTETS = 34,  /* version and random */
};

_Static_assert(HELLO_FREE_TIMES *HELLO_COUNTED_MAX / FREE_UNIT < 1 << 9, "fits hello->free");
_Static_assert(HELLO_MESSAGE_MAX < 1 << 13, "fits hello->at and hello->left");

struct hello_key hello_key_make(const uint8_t secret[static 16])
{
	const struct siphash_key key = siphash_key_load(secret);

	return (struct hello_key){
		.random = siphash_key_derive(&key, "hello random"),
		.cookie = POINT_MIN + (uint32_t)(siphash24(&key, "hello cookie", 12) % (HELLO_HASH_PRIME - POINT_MIN)),
	};
}

static struct hello_reader reader_load(const struct hello *hello)
{
	return (struct hello_reader){
		.sender = hello->sender,
		.field = hello->field,
		.seq = hello->seq,
		.at = hello->at,
		.left = hello->left,
		.running = hello->running,
	};
}

static void reader_store(struct hello *hello, const struct hello_reader *reader)
{
	hello->sender = reader->sender & 3;
	hello->field = reader->field & 31;
	hello->seq = reader->seq & 1U;
	hello->at = reader->at & 0x1fffU;
	hello->left = reader->left & 0x1fffU;
	hello->running = reader->running & 0xffffff;
}

/* What a ClientHello datagram is, and what there would be to remember. */
struct uplook {
	enum hello_step step;
	bool live;    /* a handshake is known, and not too old */
	bool first;   /* the datagram begins its message, and so has the random */
	bool second;  /* the message is not the first of its handshake */
	bool same;    /* live and first, with the random of the handshake */
	bool repeats; /* live, with it a cookie ends, and it is the one that was sent */
	struct hello_message message;
	unsigned whole; /* what one transmission of the message takes of hello->free */
	unsigned takes; /* what the datagram takes of it */
	struct hello_reader reader;
};

static uint16_t random_of(const struct hello_key *key, const struct hello_message *message)
{
	const size_t octets = message->body.left < HASHED_OCTETS ? message->body.left : HASHED_OCTETS;

	return (uint16_t)siphash24(&key->random, message->body.at, octets);
}

static unsigned units(size_t octets)
{
	return (unsigned)((octets + FREE_UNIT - 1) / FREE_UNIT);
}

/* The first ClientHello of a datagram. False: there is none. */
static bool find_client_hello(struct hello_message *message, struct bytes *datagram, struct bytes *record)
{
	while (hello_next(message, datagram, record))
		if (message->type == HELLO_CLIENT)
			return true;
	return false;
}

/* Reads the ClientHello of the datagram up to its end; its octets only if there is a cookie that it may repeat. False:
 * the datagram has another ClientHello, too. */
static bool read_client_hello(struct uplook *up, const struct hello *hello, uint32_t point, struct bytes *datagram,
			      struct bytes *record)
{
	const struct hello_message *first = &up->message;
	struct hello_message message = *first;
	struct hello_found found = { 0 };

	do {
		if (message.type != HELLO_CLIENT)
			continue;
		if (message.seq != first->seq || message.length != first->length ||
		    (message.offset == 0 && message.body.at != first->body.at))
			return false;
		if (up->live && hello->cookie_set)
			hello_read(&up->reader, &message, point, &found, NULL);
	} while (hello_next(&message, datagram, record));
	up->repeats = found.cookie && found.hash == hello->cookie;
	return true;
}

/* What it has shown earns it another allowance. */
static bool earns(const struct uplook *up, const struct hello *hello)
{
	if (up->repeats)
		return hello->stage < HELLO_STAGE_CONFIRMED;
	return up->same && up->second && hello->stage == HELLO_STAGE_RETRY;
}

static enum hello_step step_of(const struct uplook *up, const struct hello *hello)
{
	const bool lasts = up->live && up->takes <= hello->free;

	if (earns(up, hello))
		return HELLO_GOES_ON;
	if (!up->first)
		return lasts ? HELLO_GOES_ON : HELLO_LONE;
	return lasts && (up->repeats || up->same) ? HELLO_GOES_ON : HELLO_BEGINS;
}

static void look(struct uplook *up, const struct hello *hello, const struct hello_key *key, struct bytes datagram,
		 uint32_t now_s)
{
	const size_t octets = datagram.left;
	struct bytes record = { 0 };

	*up = (struct uplook){ .step = HELLO_NONE };
	if (!find_client_hello(&up->message, &datagram, &record))
		return;
	up->live = hello->known && (uint16_t)(now_s - hello->began_s) <= HELLO_LIFE_S;
	up->first = up->message.offset == 0;
	up->second = up->message.seq != 0;
	up->same = up->live && up->first && random_of(key, &up->message) == hello->random;
	up->whole = units(up->message.length < HELLO_COUNTED_MAX - HEADERS ? up->message.length + HEADERS
									   : HELLO_COUNTED_MAX);
	up->takes = units(octets);
	if (hello->sender == SENDER_CLIENT)
		up->reader = reader_load(hello);
	up->step = read_client_hello(up, hello, key->cookie, &datagram, &record) ? step_of(up, hello) : HELLO_LONE;
}

enum hello_step hello_look(const struct hello *hello, const struct hello_key *key, const uint8_t *data, size_t len,
			   uint32_t now_s)
{
	struct uplook up;

	look(&up, hello, key, (struct bytes){ data, len }, now_s);
	return up.step;
}

/* A ServerHello that is being read is not forgotten: anybody can send a ClientHello. */
static void begin(struct hello *hello, const struct hello_key *key, const struct uplook *up, uint32_t now_s)
{
	const struct hello_reader under_way = reader_load(hello);

	*hello = (struct hello){
		.random = random_of(key, &up->message),
		.began_s = (uint16_t)now_s,
		.cookie = hello->cookie,
		.known = 1,
		.cookie_set = hello->cookie_set && up->live,
		.stage = up->repeats ? HELLO_STAGE_CONFIRMED : HELLO_STAGE_BEGUN,
		.free = HELLO_FREE_TIMES * up->whole & 511,
	};
	if (under_way.sender == SENDER_SERVER)
		reader_store(hello, &under_way);
}

static void go_on(struct hello *hello, const struct hello_key *key, const struct uplook *up, uint32_t now_s)
{
	const bool earned = earns(up, hello);

	if (up->first && !up->same)
		hello->random = random_of(key, &up->message);
	hello->free = earned ? HELLO_FREE_TIMES * up->whole & 511U : (hello->free - up->takes) & 511U;
	if (up->repeats && earned) {
		hello->stage = HELLO_STAGE_CONFIRMED;
		hello->began_s = (uint16_t)now_s;
	} else if (earned) {
		hello->stage = HELLO_STAGE_SECOND;
	}
}

enum hello_step hello_take(struct hello *hello, const struct hello_key *key, const uint8_t *data, size_t len,
			   uint32_t now_s)
{
	struct uplook up;

	look(&up, hello, key, (struct bytes){ data, len }, now_s);
	if (up.step == HELLO_BEGINS)
		begin(hello, key, &up, now_s);
	else if (up.step == HELLO_GOES_ON)
		go_on(hello, key, &up, now_s);
	else
		return up.step;
	/* A ServerHello that is being read is worth more than a cookie in fragments. Without a cookie that was sent
	 * there is none to compare with. */
	if (hello->cookie_set && (hello->sender == SENDER_CLIENT || hello->field == FIELD_NONE))
		reader_store(hello, &up.reader);
	return up.step;
}

/* True: the message leaves a ServerHello alone that is being read. Its server answers a ClientHello that anybody sent.
 */
static bool comes_between(const struct hello *hello, const struct hello_message *message)
{
	return hello->sender == SENDER_SERVER && hello->field != FIELD_NONE && message->type != HELLO_SERVER;
}

/* What one message from a server says. */
static enum hello_said say(struct hello *hello, const struct hello_reader *reader, const struct hello_found *found)
{
	if (found->cookie) {
		hello->cookie = found->hash & 0xffffff;
		hello->cookie_set = 1;
	}
	if (found->ended && reader->sender != SENDER_SERVER && hello->stage == HELLO_STAGE_BEGUN)
		hello->stage = HELLO_STAGE_RETRY;
	if (found->server)
		hello->rrc = 0;
	if (found->rrc)
		hello->rrc = 1;
	if (found->cid)
		return HELLO_SAID_CID;
	if (found->without)
		return HELLO_SAID_NO_CID;
	if (found->ended && reader->sender != SENDER_SERVER)
		return HELLO_SAID_RETRY;
	return found->server ? HELLO_SAID_BEGUN : HELLO_SAID_NOTHING;
}

enum hello_said hello_reply(struct hello *hello, const struct hello_key *key, const uint8_t *data, size_t len,
			    struct hello_cid *cid)
{
	struct bytes datagram = { data, len }, record = { 0 };
	enum hello_said said = HELLO_SAID_NOTHING;
	struct hello_message message;

	while (hello_next(&message, &datagram, &record)) {
		struct hello_reader reader = reader_load(hello);
		struct hello_found found = { 0 };
		enum hello_said next;

		if (message.type == HELLO_CLIENT || !hello_read(&reader, &message, key->cookie, &found, cid))
			continue;
		if (!comes_between(hello, &message))
			reader_store(hello, &reader);
		next = say(hello, &reader, &found);
		if (next != HELLO_SAID_NOTHING)
			said = next;
	}
	return said;
}
