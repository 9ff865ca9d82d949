/* The cipher of scheme quic-lb: draft-ietf-quic-load-balancers, section 5.4. Part of lbcid, and not installed.
 *
 * Up to 16 octets are handled as a little-endian number: the first octet is the lowest.
 */
#ifndef LBCID_QUICLB_H
#define LBCID_QUICLB_H

#include <stdbool.h>
#include <stdint.h>

#include <mbedtls/aes.h>

#include "bytes.h"
#include "lbcid.h"

#pragma GCC visibility push(hidden)

enum { QUICLB_BLOCK_OCTETS = 16, QUICLB_BLOCKS = 11 };

typedef unsigned __int128 quiclb_block;

/* Server id and nonce in two halves. If their number of octets is odd, the one in the middle is in both: the left half
 * has its high bits, the right half its low ones. */
struct quiclb_halves {
	quiclb_block left, right;
};

/* Both contexts must stay where they were made. Mbed TLS writes to a context only if it finds it moved, so threads can
 * share them. */
struct lbcid_key {
	quiclb_block (*open)(const struct lbcid_key *key, const uint8_t *text, unsigned octets, unsigned size);
	/* The bits that the halves have, by octets of server id and nonce. */
	struct quiclb_halves masks[LBCID_MAX_TEXT_OCTETS + 1];
	/* The round keys in the order of use, only where the processor has AES instructions. */
	uint8_t encrypt_rounds[QUICLB_BLOCKS][QUICLB_BLOCK_OCTETS], decrypt_rounds[QUICLB_BLOCKS][QUICLB_BLOCK_OCTETS];
	mbedtls_aes_context encrypt, decrypt;
};

enum quiclb_aes {
	QUICLB_AES_INSTRUCTIONS, /* the processor's, if it has any; else Mbed TLS */
	QUICLB_AES_PORTABLE,     /* Mbed TLS */
};

/* lbcid_key_new() with a choice of the implementation. */
struct lbcid_key *quiclb_key_new(const uint8_t octets[LBCID_KEY_OCTETS], enum quiclb_aes aes);

/* Encrypts server id and nonce in place, 5..19 octets together. */
void quiclb_seal(const struct lbcid_key *key, uint8_t *text, unsigned octets);

/* Decrypts the server id, of `size` octets, out of `octets` octets. */
static inline quiclb_block quiclb_open(const struct lbcid_key *key, const uint8_t *text, unsigned octets, unsigned size)
{
	return key->open(key, text, octets, size);
}

/* Makes `key` open CIDs with the processor's AES instructions. False: it has none. */
bool quiclb_aesni_set(struct lbcid_key *key, const uint8_t octets[LBCID_KEY_OCTETS]);

/* Both ways of opening share the following. */

static inline unsigned quiclb_half_octets(unsigned octets)
{
	return (octets + 1) / 2;
}

static inline struct quiclb_halves quiclb_cut(const struct quiclb_halves *mask, const uint8_t *text, unsigned octets)
{
	const unsigned half = quiclb_half_octets(octets);

	return (struct quiclb_halves){ bytes_le128(text, half) & mask->left,
				       bytes_le128(text + octets - half, half) & mask->right };
}

/* What a pass encrypts besides a half: the number of octets and the number of the pass, at the end of the block. */
static inline quiclb_block quiclb_pass(unsigned number, unsigned octets)
{
	return (quiclb_block)(octets | number << 8) << 112;
}

/* The server id begins in the left half, which the first pass does not change. So this pass is needed only for an id
 * that reaches into the right half. */
static inline bool quiclb_needs_first_pass(unsigned octets, unsigned size)
{
	return size > octets / 2;
}

static inline quiclb_block quiclb_first(quiclb_block block, unsigned octets)
{
	return block & (((quiclb_block)1 << 8 * octets) - 1);
}

/* The first `size` octets, 15 at most, of both halves. */
static inline quiclb_block quiclb_join(quiclb_block left, quiclb_block right, unsigned octets, unsigned size)
{
	return quiclb_first(left | right << 8 * (octets - quiclb_half_octets(octets)), size);
}

#pragma GCC visibility pop

#endif
