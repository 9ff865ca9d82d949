#include <stdlib.h>
#include <string.h>

#include "common/quiclb.h"
#include "tests/unit/suite.h"

/* Both ways of opening: check_lbcid and oracle_quiclb.py only see the one that this processor gets. */
struct pair {
	struct lbcid_key *portable, *instructions;
};

static struct pair pair_of(const uint8_t octets[LBCID_KEY_OCTETS])
{
	const struct pair pair = { quiclb_key_new(octets, QUICLB_AES_PORTABLE),
				   quiclb_key_new(octets, QUICLB_AES_INSTRUCTIONS) };

	ck_assert_ptr_nonnull(pair.portable);
	ck_assert_ptr_nonnull(pair.instructions);
	return pair;
}

static void pair_free(const struct pair *pair)
{
	lbcid_key_free(pair->portable);
	lbcid_key_free(pair->instructions);
}

static uint64_t dice_state;

static void dice_fill(uint8_t *octets, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		dice_state = dice_state * 6364136223846793005 + 1442695040888963407;
		octets[i] = (uint8_t)(dice_state >> 56);
	}
}

/* One length of id and nonce together, every length of the id: they open alike, to what was sealed. Buffers of exact
 * size, for the address sanitizer. */
START_TEST(both_open_alike)
{
	const unsigned octets = (unsigned)_i;
	uint8_t *sealed = malloc(octets);

	dice_state = octets;
	for (int turn = 0; turn < 200; turn++) {
		uint8_t key[LBCID_KEY_OCTETS], text[LBCID_MAX_TEXT_OCTETS];
		dice_fill(key, sizeof key);
		dice_fill(text, octets);
		memcpy(sealed, text, octets);
		const struct pair pair = pair_of(key);
		quiclb_seal(pair.portable, sealed, octets);
		for (unsigned size = 1; size <= octets - LBCID_MIN_NONCE_OCTETS && size <= LBCID_MAX_ID_OCTETS;
		     size++) {
			const quiclb_block expected = bytes_le128(text, size);
			ck_assert(quiclb_open(pair.portable, sealed, octets, size) == expected);
			ck_assert(quiclb_open(pair.instructions, sealed, octets, size) == expected);
		}
		pair_free(&pair);
	}
	free(sealed);
}
END_TEST

/* FIPS 197, appendix A.1: the last of the round keys; and the first to decrypt with, which is the same. */
START_TEST(expands_the_key)
{
	static const uint8_t key[] = { 0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6,
				       0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c };
	static const uint8_t last[] = { 0xd0, 0x14, 0xf9, 0xa8, 0xc9, 0xee, 0x25, 0x89,
					0xe1, 0x3f, 0x0c, 0xc8, 0xb6, 0x63, 0x0c, 0xa6 };
	const struct pair pair = pair_of(key);

	if (quiclb_aesni_set(pair.instructions, key)) {
		ck_assert_ptr_ne(pair.instructions->open, pair.portable->open);
		ck_assert_mem_eq(pair.instructions->encrypt_rounds[QUICLB_BLOCKS - 1], last, sizeof last);
		ck_assert_mem_eq(pair.instructions->decrypt_rounds[0], last, sizeof last);
	}
	pair_free(&pair);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, both_open_alike, 1 + LBCID_MIN_NONCE_OCTETS, LBCID_MAX_TEXT_OCTETS + 1);
	tcase_add_test(tests, expands_the_key);
}
