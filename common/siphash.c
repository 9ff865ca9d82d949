#include "siphash.h"

#include "bytes.h"

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

static inline struct state begin(const struct siphash_key *key)
{
	return (struct state){
		key->k0 ^ 0x736f6d6570736575,
		key->k1 ^ 0x646f72616e646f6d,
		key->k0 ^ 0x6c7967656e657261,
		key->k1 ^ 0x7465646279746573,
	};
}

/* `tail`: the last len % 8 octets of the `len` that were hashed. */
static inline uint64_t end(struct state *s, uint64_t tail, size_t len)
{
	absorb(s, (uint64_t)len << 56 | tail);
	s->v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

struct siphash_key siphash_key_load(const uint8_t octets[static 16])
{
	return (struct siphash_key){ bytes_le64(octets, 8), bytes_le64(octets + 8, 8) };
}

uint64_t siphash24(const struct siphash_key *key, const void *data, size_t len)
{
	struct state s = begin(key);
	const size_t tail = len % 8;
	const uint8_t *last = (const uint8_t *)data + (len - tail);

	for (const uint8_t *at = data; at != last; at += 8)
		absorb(&s, bytes_le64(at, 8));
	return end(&s, bytes_le64(last, tail), len);
}

/* Hashes the label without and with its NUL. No label holds a NUL, so no two labels share a message. */
struct siphash_key siphash_key_derive(const struct siphash_key *key, const char *label)
{
	const size_t len = strlen(label);
	return (struct siphash_key){ siphash24(key, label, len), siphash24(key, label, len + 1) };
}

/* Like siphash24() of the octets, without writing them anywhere first. */
uint64_t siphash_addr(const struct siphash_key *key, const struct addr *a, bool with_port)
{
	const uint64_t port = with_port ? (uint64_t)(a->port >> 8 | (a->port & 0xff) << 8) : 0;
	const size_t port_octets = with_port ? sizeof a->port : 0;
	struct state s = begin(key);

	if (addr_is_v4(a))
		return end(&s, bytes_le32(a->ip + 12) | port << 32, 4 + port_octets);
	absorb(&s, bytes_le64(a->ip, 8));
	absorb(&s, bytes_le64(a->ip + 8, 8));
	return end(&s, port, 16 + port_octets);
}
