#include "proxy2_memo.h"

#include "bytes.h"

enum {
	VERSION_MASK = 0xf0,
	VERSION_2 = 0x20,
	TEXT_OCTETS = 2 + 2 * (16 + 2),
	CONSTANT_OCTETS = 2 + 16 + 2, /* of a text of version 2: marks and service */
};

static uint8_t *put(uint8_t *at, const void *from, size_t octets)
{
	memcpy(at, from, octets);
	return at + octets;
}

static uint8_t *put_port(uint8_t *at, const struct addr *addr)
{
	at[0] = (uint8_t)(addr->port >> 8);
	at[1] = (uint8_t)addr->port;
	return at + 2;
}

static uint64_t tag_of_version_1(const struct siphash_key *key, const uint8_t marks[static 2],
				 const struct proxy2_ends *ends)
{
	uint8_t text[TEXT_OCTETS];
	uint8_t *at = put(text, marks, 2);

	at = put(at, ends->source.ip, sizeof ends->source.ip);
	at = put(at, ends->destination.ip, sizeof ends->destination.ip);
	at = put_port(at, &ends->source);
	put_port(at, &ends->destination);
	return siphash24(key, text, sizeof text);
}

static void put_constants(uint8_t text[static CONSTANT_OCTETS], const uint8_t marks[static 2],
			  const struct addr *service)
{
	put_port(put(put(text, marks, 2), service->ip, sizeof service->ip), service);
}

static uint64_t tag_of_version_2(const struct siphash_key *key, const uint8_t marks[static 2],
				 const struct addr *service, const struct addr *device)
{
	uint8_t text[TEXT_OCTETS];

	put_constants(text, marks, service);
	put_port(put(text + CONSTANT_OCTETS, device->ip, sizeof device->ip), device);
	return siphash24(key, text, sizeof text);
}

static struct proxy2_half make_half(const struct siphash_key *key, const uint8_t marks[static 2],
				    const struct addr *service)
{
	uint8_t text[CONSTANT_OCTETS];
	struct proxy2_half half = { .v6 = siphash_begin(key->k0, key->k1) };

	put_constants(text, marks, service);
	siphash_absorb(&half.v6, bytes_le64(text, 8));
	siphash_absorb(&half.v6, bytes_le64(text + 8, 8));
	half.middle = bytes_le32(text + 16);
	half.v4 = half.v6;
	siphash_absorb(&half.v4, half.middle);
	siphash_absorb(&half.v4, 0xffffULL << 48);
	return half;
}

struct proxy2_half proxy2_half_make(const struct proxy2_key *key, enum proxy2_direction direction,
				    const struct addr *service)
{
	const uint8_t marks[2] = { (uint8_t)(VERSION_2 | direction), key->id };

	return make_half(&key->key, marks, service);
}

uint64_t proxy2_half_end(const struct proxy2_half *half, const struct addr *device)
{
	const uint64_t port = (uint64_t)(device->port >> 8 | (device->port & 0xff) << 8);
	const uint64_t tail = bytes_le32(device->ip + 12) | port << 32;
	struct siphash_state state = half->v4;

	if (!addr_is_v4(device)) {
		state = half->v6;
		siphash_absorb(&state, half->middle | (uint64_t)bytes_le32(device->ip) << 32);
		siphash_absorb(&state, bytes_le64(device->ip + 4, 8));
	}
	return siphash_end(&state, tail, TEXT_OCTETS);
}

/* A service address is of one pool, so few have the same key; and most nodes have one address. */
static const struct proxy2_half *find_half(struct proxy2_memo *memo, const struct siphash_key *key,
					   const uint8_t marks[static 2], const struct addr *service)
{
	const unsigned at = service->ip[15] ^ service->port ^ (unsigned)marks[0] << 3 ^ marks[1];
	struct proxy2_memo_place *place = &memo->places[at % PROXY2_MEMO_PLACES];

	if (place->marks[0] != marks[0] || place->marks[1] != marks[1] || place->key.k0 != key->k0 ||
	    place->key.k1 != key->k1 || !addr_equal(&place->service, service))
		*place = (struct proxy2_memo_place){
			*key, *service, { marks[0], marks[1] }, make_half(key, marks, service)
		};
	return &place->half;
}

uint64_t proxy2_party_tag(const struct proxy2_party *party, const struct siphash_key *key,
			  const uint8_t marks[static 2], const struct proxy2_ends *ends)
{
	const bool up = party->direction == PROXY2_UP;
	const struct addr *service = up ? &ends->destination : &ends->source;
	const struct addr *device = up ? &ends->source : &ends->destination;

	if ((marks[0] & VERSION_MASK) != VERSION_2)
		return tag_of_version_1(key, marks, ends);
	if (!party->memo)
		return tag_of_version_2(key, marks, service, device);
	return proxy2_half_end(find_half(party->memo, key, marks, service), device);
}
