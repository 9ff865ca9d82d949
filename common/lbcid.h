/* lbcid: Connection IDs that a CID-aware load balancer can route.
 *
 * Installed library. A server mints the CIDs that it hands out (RFC 9146, section 3; mbedtls_ssl_set_cid), so that they
 * carry its server id. The load balancer opens them. No I/O, no globals; only lbcid_key_new() allocates. Safe from any
 * thread: a config and its key are only read once they are made.
 */
#ifndef LBCID_H
#define LBCID_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LBCID_MAX_OCTETS       20 /* longest CID minted */
#define LBCID_MAX_ID_OCTETS    15 /* longest server id */
#define LBCID_MIN_NONCE_OCTETS 4
#define LBCID_MAX_TEXT_OCTETS  19 /* server id and nonce together */
#define LBCID_KEY_OCTETS       16
#define LBCID_ROTATIONS        7 /* 0..6; CIDs of rotation 7 are meant for no load balancer */

enum lbcid_scheme {
	LBCID_NODE_ID, /* octets offset .. offset+size are the server id, big endian; the rest is random */
	/* draft-ietf-quic-load-balancers: an octet (rotation, 3 bits, and length - 1), then server id and nonce. */
	LBCID_QUIC_LB,
};

/* An AES-128 key, expanded. */
struct lbcid_key;

/* How a pool writes server ids into CIDs. The caller fills it and lbcid_check() checks it. Afterwards it does not
 * change.
 *
 * LBCID_QUIC_LB: the nonce is what is left of `length`: length - 1 - size octets, 4 or more. With a key, server id and
 * nonce are encrypted together. Nobody without the key can tell which CIDs are of one server. Several configs may be
 * live at once, each with a rotation of its own. */
struct lbcid_config {
	enum lbcid_scheme scheme;
	uint8_t length;   /* of the whole CID, octets: 1..20; LBCID_QUIC_LB: 6..20 */
	uint8_t offset;   /* of the server id, octets; LBCID_QUIC_LB: 0, as it is always at octet 1 */
	uint8_t size;     /* of the server id, octets: 1..15, offset + size <= length */
	uint8_t rotation; /* LBCID_QUIC_LB: 0..6; else 0 */
	/* LBCID_QUIC_LB: NULL leaves server id and nonce readable. Else NULL. Must outlive the config. */
	const struct lbcid_key *key;
};

/* Fills `out` with `len` unpredictable octets. Returns 0; anything else is an error.
 *
 * With LBCID_QUIC_LB they are the nonce, and are asked for in one call. **No two CIDs of one server and key may have
 * the same nonce**: they would be the same CID. Under a key, a counter that is never set back will do. Random nonces
 * repeat sooner than one may think. A repeat has a probability of 1 % among 9,000 CIDs of a server if they have 4
 * octets, among 2 million with 6 octets, among 600 million with 8 octets. So compare each CID with those of live
 * sessions, and mint again if it is there. */
typedef int (*lbcid_random)(void *ctx, uint8_t *out, size_t len);

/* NULL: out of memory. Freeing the key wipes it; NULL may be freed. */
struct lbcid_key *lbcid_key_new(const uint8_t key[LBCID_KEY_OCTETS]);
void lbcid_key_free(struct lbcid_key *key);

/* 0, or -EINVAL if a field is out of range. */
int lbcid_check(const struct lbcid_config *config);

/* Writes a CID of config->length octets with `server_id` (config->size octets) in it. -EINVAL: lbcid_check() refuses
 * the config. -EIO: the random source failed; `cid` is then all zero. */
int lbcid_mint(const struct lbcid_config *config, const uint8_t *server_id, lbcid_random random, void *random_ctx,
	       uint8_t cid[LBCID_MAX_OCTETS]);

/* Reads the server id (config->size octets) out of a CID of `len` octets. Every CID of that shape has one. Whether
 * there is such a server is another matter. -EINVAL: a length that is not config->length, or another rotation. */
int lbcid_open(const struct lbcid_config *config, const uint8_t *cid, size_t len,
	       uint8_t server_id[LBCID_MAX_ID_OCTETS]);

#ifdef __cplusplus
}
#endif

#endif
