/* The reader of hellos, on any datagrams in any order, and against an oracle that reassembles first and reads then.
 *
 * The input is a message (see take_message()) and steps of one octet. A step sends a fragment of the message, or up to
 * 255 octets of the input as they are. */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { HEADERS = 13 + 12, CLIENT = 1, SERVER = 2, VERIFY = 3 };

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* What a whole message says. */
struct oracle {
	bool retry, cid_read, rrc;
	struct bytes cid, cookie;
};

/* A field that has a length of `octets` octets in front. False: the message ends before. */
static bool take_vector(struct bytes *in, size_t octets, struct bytes *out)
{
	const uint8_t *length = bytes_take(in, octets);

	if (!length)
		return false;
	out->left = octets == 1 ? *length : bytes_u16(length);
	out->at = bytes_take(in, out->left);
	return out->at != NULL;
}

static void read_cid(struct oracle *says, struct bytes body)
{
	struct bytes cid;

	if (says->cid_read || !take_vector(&body, 1, &cid) || body.left > 0 || cid.left == 0 ||
	    cid.left > HELLO_CID_MAX)
		return;
	says->cid = cid;
	says->cid_read = true;
}

static void read_extensions(struct oracle *says, uint8_t type, struct bytes *in)
{
	const uint8_t *number;
	struct bytes body;

	if (!bytes_take(in, 2))
		return;
	while ((number = bytes_take(in, 2))) {
		const bool is_server = type == SERVER && !says->retry;

		says->rrc |= is_server && bytes_u16(number) == 61;
		if (!take_vector(in, 2, &body))
			return;
		if (is_server && bytes_u16(number) == 54)
			read_cid(says, body);
		if (!is_server && bytes_u16(number) == 44 && body.left > 2)
			says->cookie = body;
	}
}

static struct oracle read_whole(uint8_t type, struct bytes in)
{
	static const uint8_t retry_random[] = {
		0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
		0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
	};
	struct oracle says = { .retry = type == VERIFY };
	const uint8_t *version = bytes_take(&in, 2), *random;
	struct bytes skipped, cookie = { 0 };

	if (type == VERIFY) {
		if (version && take_vector(&in, 1, &cookie) && cookie.left > 0)
			says.cookie = cookie;
		return says;
	}
	/* A message that ends in its random, and is like a retry so far, counts as one. */
	random = in.at;
	says.retry = type == SERVER && (!version || memcmp(random, retry_random, in.left < 32 ? in.left : 32) == 0);
	if (!version || !bytes_take(&in, 32) || !take_vector(&in, 1, &skipped))
		return says;
	if (type == SERVER) {
		if (bytes_take(&in, 3))
			read_extensions(&says, type, &in);
		return says;
	}
	if (!take_vector(&in, 1, &cookie))
		return says;
	if (cookie.left > 0)
		says.cookie = cookie;
	if (take_vector(&in, 2, &skipped) && take_vector(&in, 1, &skipped))
		read_extensions(&says, type, &in);
	return says;
}

/* A message that is sent in fragments, and what has come of it in order. */
struct world {
	struct hello hello;
	struct hello_key key;
	struct hello_cid cid;
	uint8_t type, seq;
	struct bytes body;
	size_t came; /* octets; SIZE_MAX: something else was sent, and the oracle is silent */
	struct bytes last_cookie;
	uint32_t now_s;
};

/* Three octets: type and message_seq, length. Then the body. */
static bool take_message(struct world *world, struct bytes *in)
{
	const uint8_t *head = bytes_take(in, 3);

	if (!head)
		return false;
	world->type = (uint8_t)(1 + head[0] % 3);
	world->seq = head[0] >> 4 & 1;
	world->body.left = bytes_u16(head + 1) % 2048;
	world->body.at = bytes_take(in, world->body.left);
	return world->body.at != NULL;
}

static enum hello_step uplink(struct world *world, const uint8_t *data, size_t len)
{
	const struct hello before = world->hello;
	const enum hello_step step = hello_look(&world->hello, &world->key, data, len, world->now_s);
	const bool confirmed = hello_confirmed(&world->hello);

	require(memcmp(&before, &world->hello, sizeof before) == 0);
	require(hello_take(&world->hello, &world->key, data, len, world->now_s) == step);
	if (step == HELLO_NONE || step == HELLO_LONE)
		require(memcmp(&before, &world->hello, sizeof before) == 0);
	if (step == HELLO_GOES_ON)
		require(before.known && (!confirmed || hello_confirmed(&world->hello)));
	return step;
}

/* `whole`: the fragment is the message. */
static void check_down(struct world *world, enum hello_said said, bool whole)
{
	const struct oracle says = read_whole(world->type, world->body);

	require(world->cid.len <= HELLO_CID_MAX);
	if (world->came != world->body.left)
		return;
	/* Between the fragments of a ServerHello, of which the octets before may be one, a HelloVerifyRequest is read
	 * only if it is whole. */
	if (world->type == VERIFY && !whole && said == HELLO_SAID_NOTHING)
		return;
	if (says.retry) {
		require(said == HELLO_SAID_RETRY);
		require(!says.cookie.at || hello_asked(&world->hello) || world->hello.stage == HELLO_STAGE_BEGUN);
		return;
	}
	require(hello_rrc(&world->hello) == says.rrc);
	/* The CID may have been read with a fragment before. */
	require(said == (says.cid_read ? HELLO_SAID_CID : HELLO_SAID_NO_CID) ||
		(says.cid_read && said == HELLO_SAID_NOTHING));
	require(world->cid.len == says.cid.left);
	require(memcmp(world->cid.octets, says.cid.at ? says.cid.at : world->cid.octets, says.cid.left) == 0);
}

/* Sends the octets from..to of the message. */
static void send_fragment(struct world *world, size_t from, size_t to)
{
	const size_t octets = to - from, record = 12 + octets, len = world->body.left;
	/* clang-format off */
	const uint8_t headers[HEADERS] = {
		22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, (uint8_t)(record >> 8), (uint8_t)record,
		world->type, 0, (uint8_t)(len >> 8), (uint8_t)len, 0, world->seq,
		0, (uint8_t)(from >> 8), (uint8_t)from, 0, (uint8_t)(octets >> 8), (uint8_t)octets,
	};
	/* clang-format on */
	uint8_t *datagram = malloc(HEADERS + octets);

	require(datagram != NULL);
	memcpy(datagram, headers, HEADERS);
	memcpy(datagram + HEADERS, world->body.at + from, octets);
	if (from == 0)
		world->came = to;
	else if (world->came != SIZE_MAX && world->came < len && from <= world->came && to > world->came)
		world->came = to;
	else if (world->came == len)
		world->came = SIZE_MAX; /* what follows a message that has ended says nothing */
	if (world->type == CLIENT)
		uplink(world, datagram, HEADERS + octets);
	else
		check_down(world, hello_reply(&world->hello, &world->key, datagram, HEADERS + octets, &world->cid),
			   octets == len);
	free(datagram);
}

static void send_octets(struct world *world, struct bytes *in, size_t octets, bool up)
{
	const uint8_t *at = bytes_take(in, octets);
	uint8_t *datagram = at ? malloc(octets) : NULL;

	if (!datagram)
		return;
	memcpy(datagram, at, octets);
	if (up)
		uplink(world, datagram, octets);
	else
		hello_reply(&world->hello, &world->key, datagram, octets, &world->cid);
	world->came = SIZE_MAX;
	free(datagram);
}

/* A cookie that the server sent is known when it comes back, whole and in one datagram. */
static void check_cookie(const struct world *of)
{
	struct world world = *of;
	const struct oracle says = read_whole(of->type, of->body);
	uint8_t hello[HEADERS + 35 + 256] = { 22, 0xfe, 0xfd, [13] = CLIENT, [18] = 1 };
	size_t octets = 34 + 1 + 1 + says.cookie.left;

	if (of->type != VERIFY || !says.cookie.at)
		return;
	world.hello = (struct hello){ 0 };
	hello[11] = (uint8_t)((12 + octets) >> 8);
	hello[12] = (uint8_t)(12 + octets);
	hello[15] = hello[23] = (uint8_t)(octets >> 8);
	hello[16] = hello[24] = (uint8_t)octets;
	memcpy(hello + HEADERS + 36, says.cookie.at, says.cookie.left);
	hello[HEADERS + 35] = (uint8_t)says.cookie.left;
	require(uplink(&world, hello, HEADERS + octets) == HELLO_BEGINS && !hello_confirmed(&world.hello));
	send_fragment(&world, 0, world.body.left);
	require(hello_asked(&world.hello));
	require(uplink(&world, hello, HEADERS + octets) == HELLO_GOES_ON && hello_confirmed(&world.hello));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t secret[16] = { 3 };
	struct bytes in = { data, len };
	struct world world = { .key = hello_key_make(secret), .came = SIZE_MAX, .now_s = 1000 };
	const uint8_t *step;
	size_t from = 0;

	hello_reply(&world.hello, &world.key, data, len, &world.cid);
	uplink(&world, data, len);
	if (!take_message(&world, &in))
		return 0;
	check_cookie(&world);
	while ((step = bytes_take(&in, 2))) {
		if (step[0] < 128) {
			/* From where the last one ended, or some octets before or behind, as the low bits say. */
			const size_t start = from + step[0] % 8 >= 3 ? from + step[0] % 8 - 3 : 0;
			const size_t begin = step[0] % 8 == 7 || start > world.body.left ? 0 : start;
			const size_t most = world.body.left - begin;

			from = begin + (step[1] * (size_t)(1 + step[0] / 8) < most ? step[1] * (size_t)(1 + step[0] / 8)
										   : most);
			send_fragment(&world, begin, from);
		} else if (step[0] < 192) {
			world.now_s += step[1];
		} else {
			send_octets(&world, &in, step[1], step[0] & 1);
		}
	}
	return 0;
}
