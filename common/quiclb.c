#include "quiclb.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/platform_util.h>

struct block_octets {
	uint64_t words[2]; /* little endian */
};

static struct block_octets to_octets(quiclb_block block)
{
	return (struct block_octets){ { htole64((uint64_t)block), htole64((uint64_t)(block >> 64)) } };
}

static quiclb_block crypt(const mbedtls_aes_context *context, int mode, quiclb_block block)
{
	struct block_octets octets = to_octets(block);

	(void)mbedtls_aes_crypt_ecb((mbedtls_aes_context *)context, mode, (uint8_t *)&octets, (uint8_t *)&octets);
	return bytes_le128((uint8_t *)&octets, sizeof octets);
}

/* One round of the Feistel network: section 5.4.2. */
static void pass(const struct lbcid_key *key, unsigned number, unsigned octets, quiclb_block *to, quiclb_block from,
		 quiclb_block mask)
{
	*to ^= crypt(&key->encrypt, MBEDTLS_AES_ENCRYPT, from | quiclb_pass(number, octets)) & mask;
}

static void four_pass_seal(const struct lbcid_key *key, uint8_t *text, unsigned octets)
{
	const unsigned half = quiclb_half_octets(octets), right_at = octets - half;
	const struct quiclb_halves *mask = &key->masks[octets];
	struct quiclb_halves halves = quiclb_cut(mask, text, octets);
	struct block_octets left, right;
	uint8_t shared;

	pass(key, 1, octets, &halves.right, halves.left, mask->right);
	pass(key, 2, octets, &halves.left, halves.right, mask->left);
	pass(key, 3, octets, &halves.right, halves.left, mask->right);
	pass(key, 4, octets, &halves.left, halves.right, mask->left);
	left = to_octets(halves.left);
	right = to_octets(halves.right);
	memcpy(text, &left, half);
	shared = right_at < half ? text[right_at] : 0;
	memcpy(text + right_at, &right, half);
	text[right_at] |= shared;
}

static quiclb_block portable_open(const struct lbcid_key *key, const uint8_t *text, unsigned octets, unsigned size)
{
	const struct quiclb_halves *mask = &key->masks[octets];
	struct quiclb_halves halves;

	if (octets == QUICLB_BLOCK_OCTETS)
		return quiclb_first(crypt(&key->decrypt, MBEDTLS_AES_DECRYPT, bytes_le128(text, QUICLB_BLOCK_OCTETS)),
				    size);
	halves = quiclb_cut(mask, text, octets);
	pass(key, 4, octets, &halves.left, halves.right, mask->left);
	pass(key, 3, octets, &halves.right, halves.left, mask->right);
	pass(key, 2, octets, &halves.left, halves.right, mask->left);
	if (quiclb_needs_first_pass(octets, size))
		pass(key, 1, octets, &halves.right, halves.left, mask->right);
	return quiclb_join(halves.left, halves.right, octets, size);
}

void quiclb_seal(const struct lbcid_key *key, uint8_t *text, unsigned octets)
{
	struct block_octets sealed;

	if (octets != QUICLB_BLOCK_OCTETS) {
		four_pass_seal(key, text, octets);
		return;
	}
	sealed = to_octets(crypt(&key->encrypt, MBEDTLS_AES_ENCRYPT, bytes_le128(text, QUICLB_BLOCK_OCTETS)));
	memcpy(text, &sealed, sizeof sealed);
}

static void masks_fill(struct quiclb_halves *masks, unsigned octets)
{
	const unsigned half = quiclb_half_octets(octets);

	masks->left = masks->right = quiclb_first(~(quiclb_block)0, half);
	if (octets % 2) {
		masks->left ^= (quiclb_block)0x0f << 8 * (half - 1);
		masks->right ^= 0xf0;
	}
}

struct lbcid_key *quiclb_key_new(const uint8_t octets[LBCID_KEY_OCTETS], enum quiclb_aes aes)
{
	struct lbcid_key *key = malloc(sizeof *key);

	if (!key)
		return NULL;
	mbedtls_aes_init(&key->encrypt);
	mbedtls_aes_init(&key->decrypt);
	for (unsigned n = 1; n <= LBCID_MAX_TEXT_OCTETS; n++)
		masks_fill(&key->masks[n], n);
	if (aes == QUICLB_AES_PORTABLE || !quiclb_aesni_set(key, octets))
		key->open = portable_open;
	if (mbedtls_aes_setkey_enc(&key->encrypt, octets, 8 * LBCID_KEY_OCTETS) == 0 &&
	    mbedtls_aes_setkey_dec(&key->decrypt, octets, 8 * LBCID_KEY_OCTETS) == 0)
		return key;
	lbcid_key_free(key);
	return NULL;
}

struct lbcid_key *lbcid_key_new(const uint8_t octets[LBCID_KEY_OCTETS])
{
	return quiclb_key_new(octets, QUICLB_AES_INSTRUCTIONS);
}

void lbcid_key_free(struct lbcid_key *key)
{
	if (!key)
		return;
	mbedtls_aes_free(&key->encrypt);
	mbedtls_aes_free(&key->decrypt);
	mbedtls_platform_zeroize(key, sizeof *key);
	free(key);
}
