#include "siphash.h"

#include <endian.h>
#include <string.h>

struct state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void sip_round(struct state *s)
{
	s->v0 += s->v1;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v2 = rotate(s->v2, 32);
}

static inline void absorb(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	sip_round(s);
	s->v0 ^= word;
}

static inline uint64_t load_le64(const uint8_t *at, size_t octets)
{
	uint64_t word = 0;

	memcpy(&word, at, octets);
	return le64toh(word);
}

/* Inline, so that siphash_addr() gets copies for its constant lengths, without a loop. */
static inline uint64_t hash(const struct siphash_key *key, const uint8_t *data, size_t len)
{
	struct state s = {
		key->k0 ^ 0x736f6d6570736575,
		key->k1 ^ 0x646f72616e646f6d,
		key->k0 ^ 0x6c7967656e657261,
		key->k1 ^ 0x7465646279746573,
	};
	const size_t tail = len % 8;
	const uint8_t *end = data + (len - tail);

	for (const uint8_t *at = data; at != end; at += 8)
		absorb(&s, load_le64(at, 8));
	absorb(&s, (uint64_t)len << 56 | load_le64(end, tail));
	s.v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

struct siphash_key siphash_key_load(const uint8_t octets[static 16])
{
	return (struct siphash_key){ load_le64(octets, 8), load_le64(octets + 8, 8) };
}

uint64_t siphash24(const struct siphash_key *key, const void *data, size_t len)
{
	return hash(key, data, len);
}

/* The label without and with its NUL: no label holds a NUL, so no two labels share a message. */
struct siphash_key siphash_key_derive(const struct siphash_key *key, const char *label)
{
	const size_t len = strlen(label);
	return (struct siphash_key){ siphash24(key, label, len), siphash24(key, label, len + 1) };
}

uint64_t siphash_addr(const struct siphash_key *key, const struct addr *a, bool with_port)
{
	uint8_t octets[sizeof a->ip + sizeof a->port];

	memcpy(octets, a->ip, sizeof a->ip);
	octets[16] = (uint8_t)(a->port >> 8);
	octets[17] = (uint8_t)a->port;
	if (addr_is_v4(a))
		return with_port ? hash(key, octets + 12, 6) : hash(key, octets + 12, 4);
	return with_port ? hash(key, octets, 18) : hash(key, octets, 16);
}
