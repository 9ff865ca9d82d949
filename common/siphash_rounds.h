/* SipHash-2-4 a word at a time, for whoever keeps a hash that is half done. siphash.h has the rest. Pure, any thread.
 */
#ifndef CIDLB_SIPHASH_ROUNDS_H
#define CIDLB_SIPHASH_ROUNDS_H

#include <stddef.h>
#include <stdint.h>

struct siphash_state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t siphash_rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void siphash_round(struct siphash_state *s)
{
	s->v0 += s->v1;
	s->v1 = siphash_rotate(s->v1, 13) ^ s->v0;
	s->v0 = siphash_rotate(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = siphash_rotate(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = siphash_rotate(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = siphash_rotate(s->v1, 17) ^ s->v2;
	s->v2 = siphash_rotate(s->v2, 32);
}

/* The next 8 octets of the message, as a little-endian number. */
static inline void siphash_absorb(struct siphash_state *s, uint64_t word)
{
	s->v3 ^= word;
	siphash_round(s);
	siphash_round(s);
	s->v0 ^= word;
}

/* `k0`, `k1`: as in struct siphash_key. */
static inline struct siphash_state siphash_begin(uint64_t k0, uint64_t k1)
{
	return (struct siphash_state){
		k0 ^ 0x736f6d6570736575,
		k1 ^ 0x646f72616e646f6d,
		k0 ^ 0x6c7967656e657261,
		k1 ^ 0x7465646279746573,
	};
}

/* `tail`: the last len % 8 octets of the `len` of the message. */
static inline uint64_t siphash_end(struct siphash_state *s, uint64_t tail, size_t len)
{
	siphash_absorb(s, (uint64_t)len << 56 | tail);
	s->v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		siphash_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

#endif
