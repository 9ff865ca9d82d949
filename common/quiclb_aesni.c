/* Opens CIDs with the AES instructions of x86-64. In line, so that the passes of one CID overlap with those of the
 * next. A call for each block would cost more than the block. */
#include "quiclb.h"

#ifdef __x86_64__

#include <cpuid.h>
#include <immintrin.h>

#define AESNI __attribute__((target("aes,ssse3")))

static __m128i to_vector(quiclb_block block)
{
	return _mm_set_epi64x((long long)(uint64_t)(block >> 64), (long long)(uint64_t)block);
}

static quiclb_block from_vector(__m128i vector)
{
	const uint64_t high = (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(vector, vector));

	return (quiclb_block)high << 64 | (uint64_t)_mm_cvtsi128_si64(vector);
}

static __m128i load(const uint8_t *block)
{
	return _mm_loadu_si128((const __m128i *)block);
}

static void store(uint8_t *block, __m128i vector)
{
	_mm_storeu_si128((__m128i *)block, vector);
}

AESNI static __m128i encrypt(const struct lbcid_key *key, __m128i block)
{
	const uint8_t(*rounds)[QUICLB_BLOCK_OCTETS] = key->encrypt_rounds;

	block = _mm_xor_si128(block, load(rounds[0]));
	for (int i = 1; i < QUICLB_BLOCKS - 1; i++)
		block = _mm_aesenc_si128(block, load(rounds[i]));
	return _mm_aesenclast_si128(block, load(rounds[QUICLB_BLOCKS - 1]));
}

AESNI static __m128i decrypt(const struct lbcid_key *key, __m128i block)
{
	const uint8_t(*rounds)[QUICLB_BLOCK_OCTETS] = key->decrypt_rounds;

	block = _mm_xor_si128(block, load(rounds[0]));
	for (int i = 1; i < QUICLB_BLOCKS - 1; i++)
		block = _mm_aesdec_si128(block, load(rounds[i]));
	return _mm_aesdeclast_si128(block, load(rounds[QUICLB_BLOCKS - 1]));
}

AESNI static __m128i pass(const struct lbcid_key *key, unsigned number, unsigned octets, __m128i to, __m128i from,
			  __m128i mask)
{
	const __m128i block = _mm_or_si128(from, to_vector(quiclb_pass(number, octets)));

	return _mm_xor_si128(to, _mm_and_si128(encrypt(key, block), mask));
}

AESNI static quiclb_block aesni_open(const struct lbcid_key *key, const uint8_t *text, unsigned octets, unsigned size)
{
	const struct quiclb_halves *masks = &key->masks[octets];
	struct quiclb_halves halves;
	__m128i left, right, left_mask, right_mask;

	if (octets == QUICLB_BLOCK_OCTETS)
		return quiclb_first(from_vector(decrypt(key, load(text))), size);
	halves = quiclb_cut(masks, text, octets);
	left = to_vector(halves.left);
	right = to_vector(halves.right);
	left_mask = to_vector(masks->left);
	right_mask = to_vector(masks->right);
	left = pass(key, 4, octets, left, right, left_mask);
	right = pass(key, 3, octets, right, left, right_mask);
	left = pass(key, 2, octets, left, right, left_mask);
	if (quiclb_needs_first_pass(octets, size))
		right = pass(key, 1, octets, right, left, right_mask);
	return quiclb_join(from_vector(left), from_vector(right), octets, size);
}

static bool has_aes(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_AES) && (c & bit_SSSE3);
}

/* FIPS 197, section 5.2: four words at a time. */
AESNI static void expand(struct lbcid_key *key, const uint8_t octets[LBCID_KEY_OCTETS])
{
	const __m128i rotated_last_word = _mm_set1_epi32(0x0c0f0e0d);
	__m128i round = load(octets);
	int constant = 1;

	store(key->encrypt_rounds[0], round);
	for (int i = 1; i < QUICLB_BLOCKS; i++) {
		/* With four equal columns, the last round of a block is only the substitution of octets. */
		const __m128i word =
			_mm_aesenclast_si128(_mm_shuffle_epi8(round, rotated_last_word), _mm_set1_epi32(constant));
		round = _mm_xor_si128(round, _mm_slli_si128(round, 4));
		round = _mm_xor_si128(round, _mm_slli_si128(round, 8));
		round = _mm_xor_si128(round, word);
		store(key->encrypt_rounds[i], round);
		constant = constant << 1 ^ (constant & 0x80 ? 0x11b : 0);
	}
	/* Section 5.3.5. */
	for (int i = 0; i < QUICLB_BLOCKS; i++) {
		const bool outer = i == 0 || i == QUICLB_BLOCKS - 1;
		round = load(key->encrypt_rounds[QUICLB_BLOCKS - 1 - i]);
		store(key->decrypt_rounds[i], outer ? round : _mm_aesimc_si128(round));
	}
}

bool quiclb_aesni_set(struct lbcid_key *key, const uint8_t octets[LBCID_KEY_OCTETS])
{
	if (!has_aes())
		return false;
	expand(key, octets);
	key->open = aesni_open;
	return true;
}

#else

bool quiclb_aesni_set(struct lbcid_key *key, const uint8_t octets[LBCID_KEY_OCTETS])
{
	(void)key;
	(void)octets;
	return false;
}

#endif
