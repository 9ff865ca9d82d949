#include "lbcid.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/aes.h>

enum { BLOCK_OCTETS = 16 };

/* Whole in one register: what is written in parts is slow to be read as one. */
typedef uint64_t block_words __attribute__((vector_size(BLOCK_OCTETS)));
union block {
	uint8_t octets[BLOCK_OCTETS];
	block_words words;
};

/* Server id and nonce in two halves, each at the start of a block. Of an odd number of octets the one in the middle is in both: the left
 * half has its high bits, the right half its low ones. */
struct halves {
	union block left, right;
};

/* Both contexts stay where they are made: Mbed TLS writes to a context that it finds moved, and to no other, so threads can share
 * them. */
struct lbcid_key {
	mbedtls_aes_context encrypt, decrypt;
	struct halves masks[LBCID_MAX_TEXT_OCTETS + 1]; /* by octets of server id and nonce: the bits that the halves have */
};

static unsigned half_of(unsigned octets)
{
	return (octets + 1) / 2;
}

static void masks_fill(struct halves *masks, unsigned octets)
{
	const unsigned half = half_of(octets);

	*masks = (struct halves){ 0 };
	memset(masks->left.octets, 0xff, half);
	memset(masks->right.octets, 0xff, half);
	if (octets % 2) {
		masks->left.octets[half - 1] = 0xf0;
		masks->right.octets[0] = 0x0f;
	}
}

struct lbcid_key *lbcid_key_new(const uint8_t octets[LBCID_KEY_OCTETS])
{
	struct lbcid_key *key = malloc(sizeof *key);

	if (!key)
		return NULL;
	mbedtls_aes_init(&key->encrypt);
	mbedtls_aes_init(&key->decrypt);
	for (unsigned n = 1; n <= LBCID_MAX_TEXT_OCTETS; n++)
		masks_fill(&key->masks[n], n);
	if (mbedtls_aes_setkey_enc(&key->encrypt, octets, 8 * LBCID_KEY_OCTETS) == 0 &&
	    mbedtls_aes_setkey_dec(&key->decrypt, octets, 8 * LBCID_KEY_OCTETS) == 0)
		return key;
	lbcid_key_free(key);
	return NULL;
}

void lbcid_key_free(struct lbcid_key *key)
{
	if (!key)
		return;
	mbedtls_aes_free(&key->encrypt);
	mbedtls_aes_free(&key->decrypt);
	free(key);
}

int lbcid_check(const struct lbcid_config *config)
{
	const bool quic_lb = config->scheme == LBCID_QUIC_LB;
	const unsigned others = quic_lb ? 1 + LBCID_MIN_NONCE_OCTETS : config->offset;

	if (config->scheme != LBCID_NODE_ID && !quic_lb)
		return -EINVAL;
	if (config->length < 1 || config->length > LBCID_MAX_OCTETS)
		return -EINVAL;
	if (config->size < 1 || config->size > LBCID_MAX_ID_OCTETS || others + config->size > config->length)
		return -EINVAL;
	if (quic_lb ? config->offset != 0 || config->rotation >= LBCID_ROTATIONS : config->rotation != 0 || config->key)
		return -EINVAL;
	return 0;
}

static inline void aes_encrypt(const struct lbcid_key *key, const uint8_t *in, uint8_t *out)
{
	(void)mbedtls_aes_crypt_ecb((mbedtls_aes_context *)&key->encrypt, MBEDTLS_AES_ENCRYPT, in, out);
}

static inline void aes_decrypt(const struct lbcid_key *key, const uint8_t *in, uint8_t *out)
{
	(void)mbedtls_aes_crypt_ecb((mbedtls_aes_context *)&key->decrypt, MBEDTLS_AES_DECRYPT, in, out);
}

/* One round of the Feistel network: draft-ietf-quic-load-balancers, section 5.4.2. */
static inline void pass(const struct lbcid_key *key, unsigned number, unsigned octets, union block *to, const union block *from,
			const union block *mask)
{
	union block block = *from;

	block.words |= (block_words){ 0, htole64((uint64_t)octets << 48 | (uint64_t)number << 56) }; /* the last two octets */
	aes_encrypt(key, block.octets, block.octets);
	to->words ^= block.words & mask->words;
}

static inline void halves_cut(struct halves *halves, const struct halves *mask, const uint8_t *text, unsigned octets)
{
	uint8_t padded[2 * BLOCK_OCTETS] = { 0 };

	memcpy(padded, text, octets);
	memcpy(&halves->left, padded, BLOCK_OCTETS);
	memcpy(&halves->right, padded + octets - half_of(octets), BLOCK_OCTETS);
	halves->left.words &= mask->left.words;
	halves->right.words &= mask->right.words;
}

/* The first `wanted` octets of both. */
static inline void halves_join(uint8_t *text, const struct halves *halves, unsigned octets, unsigned wanted)
{
	const unsigned half = half_of(octets), right_at = octets - half;
	uint8_t joined[2 * BLOCK_OCTETS];
	uint8_t shared = 0;

	if (right_at < half)
		shared = halves->left.octets[right_at];
	memcpy(joined, &halves->left, BLOCK_OCTETS);
	memcpy(joined + right_at, &halves->right, BLOCK_OCTETS);
	joined[right_at] |= shared;
	memcpy(text, joined, wanted);
}

static void four_pass_encrypt(const struct lbcid_key *key, uint8_t *text, unsigned octets)
{
	const struct halves *mask = &key->masks[octets];
	struct halves halves;

	halves_cut(&halves, mask, text, octets);
	pass(key, 1, octets, &halves.right, &halves.left, &mask->right);
	pass(key, 2, octets, &halves.left, &halves.right, &mask->left);
	pass(key, 3, octets, &halves.right, &halves.left, &mask->right);
	pass(key, 4, octets, &halves.left, &halves.right, &mask->left);
	halves_join(text, &halves, octets, octets);
}

/* Only the first `size` octets: where the left half has them all, the first pass need not be undone. */
static void four_pass_decrypt(const struct lbcid_key *key, const uint8_t *text, unsigned octets, uint8_t *id, unsigned size)
{
	const struct halves *mask = &key->masks[octets];
	struct halves halves;

	halves_cut(&halves, mask, text, octets);
	pass(key, 4, octets, &halves.left, &halves.right, &mask->left);
	pass(key, 3, octets, &halves.right, &halves.left, &mask->right);
	pass(key, 2, octets, &halves.left, &halves.right, &mask->left);
	if (size <= octets / 2) {
		memcpy(id, halves.left.octets, size);
		return;
	}
	pass(key, 1, octets, &halves.right, &halves.left, &mask->right);
	halves_join(id, &halves, octets, size);
}

static void quic_lb_seal(const struct lbcid_config *config, uint8_t *cid)
{
	const unsigned octets = config->length - 1U;

	cid[0] = (uint8_t)((unsigned)config->rotation << 5 | octets);
	if (!config->key)
		return;
	if (octets == BLOCK_OCTETS)
		aes_encrypt(config->key, cid + 1, cid + 1);
	else
		four_pass_encrypt(config->key, cid + 1, octets);
}

/* Not inline, for the sake of node-id: a call more here is nothing, the stack frame there a tenth of its time. */
static __attribute__((noinline)) int quic_lb_open(const struct lbcid_config *config, const uint8_t *cid, uint8_t *server_id)
{
	const unsigned octets = config->length - 1U;
	uint8_t plain[BLOCK_OCTETS];

	/* The length bits are for servers: to those of another rotation they may mean something else. */
	if (cid[0] >> 5 != config->rotation)
		return -EINVAL;
	if (!config->key) {
		memcpy(server_id, cid + 1, config->size);
	} else if (octets == BLOCK_OCTETS) {
		aes_decrypt(config->key, cid + 1, plain);
		memcpy(server_id, plain, config->size);
	} else {
		four_pass_decrypt(config->key, cid + 1, octets, server_id, config->size);
	}
	return 0;
}

int lbcid_mint(const struct lbcid_config *config, const uint8_t *server_id, lbcid_random random, void *random_ctx,
	       uint8_t cid[LBCID_MAX_OCTETS])
{
	unsigned random_at, id_at;

	memset(cid, 0, LBCID_MAX_OCTETS);
	if (lbcid_check(config) != 0)
		return -EINVAL;
	id_at = config->scheme == LBCID_QUIC_LB ? 1 : config->offset;
	random_at = config->scheme == LBCID_QUIC_LB ? id_at + config->size : 0;
	if (random(random_ctx, cid + random_at, config->length - random_at) != 0) {
		memset(cid, 0, LBCID_MAX_OCTETS); /* half random is guessable */
		return -EIO;
	}
	memcpy(cid + id_at, server_id, config->size);
	if (config->scheme == LBCID_QUIC_LB)
		quic_lb_seal(config, cid);
	return 0;
}

int lbcid_open(const struct lbcid_config *config, const uint8_t *cid, size_t len, uint8_t server_id[LBCID_MAX_ID_OCTETS])
{
	if (len != config->length)
		return -EINVAL;
	if (config->scheme == LBCID_QUIC_LB)
		return quic_lb_open(config, cid, server_id);
	/* On the load balancer's packet path, and mostly of one or two octets: a call of memcpy() would cost more. */
	for (size_t i = 0; i < config->size; i++)
		server_id[i] = cid[config->offset + i];
	return 0;
}
