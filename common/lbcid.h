/* lbcid: Connection IDs that a CID-aware load balancer can route.
 *
 * Installed library. A server mints the CID it hands out (RFC 9146, section 3; mbedtls_ssl_set_cid) so that it carries
 * the server's id; the load balancer opens it. No I/O, no globals; only lbcid_key_new() allocates. Safe from any
 * thread: a config, and the key it points at, are only read once they are made.
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
#define LBCID_ROTATIONS        7 /* 0..6; what has 7 there is meant for no load balancer */

enum lbcid_scheme {
	LBCID_NODE_ID, /* octets offset .. offset+size are the server id, big endian, the rest random */
	LBCID_QUIC_LB, /* draft-ietf-quic-load-balancers: an octet (rotation, 3 bits, and length - 1), then server id
			  and nonce */
};

/* An AES-128 key, expanded. */
struct lbcid_key;

/* How a pool writes server ids into CIDs. Filled by the caller, checked by lbcid_check(), constant afterwards.
 *
 * LBCID_QUIC_LB: the nonce is what is left of `length`: length - 1 - size octets, 4 or more. With a key, server id and
 * nonce are encrypted together: nobody without the key can tell which CIDs are of one server. Several configs may be
 * live at once, each with a rotation of its own. */
struct lbcid_config {
	enum lbcid_scheme scheme;
	uint8_t length;   /* of the whole CID, octets: 1..20; LBCID_QUIC_LB: 6..20 */
	uint8_t offset;   /* of the server id, octets; LBCID_QUIC_LB: 0, which has it at octet 1 */
	uint8_t size;     /* of the server id, octets: 1..15, offset + size <= length */
	uint8_t rotation; /* LBCID_QUIC_LB: 0..6; else 0 */
	const struct lbcid_key
		*key; /* LBCID_QUIC_LB: NULL: server id and nonce are readable; else NULL. Must outlive the config */
};

/* Fills `len` octets with unpredictable ones; returns 0, anything else is an error.
 *
 * With LBCID_QUIC_LB they are the nonce, asked for in one call. **No two CIDs of one server and key may have the same
 * nonce**: they would be the same CID. Under a key, a counter that is never set back will do. Random nonces repeat
 * sooner than one may think: among 9,000 CIDs of a server with 1 % probability if they have 4 octets; 6 octets: among 2
 * million; 8 octets: among 600 million. So compare with the sessions that are live, and mint again. */
typedef int (*lbcid_random)(void *ctx, uint8_t *out, size_t len);

/* NULL: out of memory. The key is wiped when it is freed; NULL may be freed. */
struct lbcid_key *lbcid_key_new(const uint8_t key[LBCID_KEY_OCTETS]);
void lbcid_key_free(struct lbcid_key *key);

/* 0, or -EINVAL if a field is out of range. */
int lbcid_check(const struct lbcid_config *config);

/* Writes a CID of config->length octets with `server_id` (config->size octets) in it.
 * -EINVAL: a config that lbcid_check() refuses. -EIO: the random source failed; `cid` is then all zero. */
int lbcid_mint(const struct lbcid_config *config, const uint8_t *server_id, lbcid_random random, void *random_ctx,
	       uint8_t cid[LBCID_MAX_OCTETS]);

/* Reads the server id (config->size octets) out of a CID of `len` octets. Any CID of that shape has one: whether there
 * is such a server is another matter. -EINVAL: a length that is not config->length, or another rotation. */
int lbcid_open(const struct lbcid_config *config, const uint8_t *cid, size_t len,
	       uint8_t server_id[LBCID_MAX_ID_OCTETS]);

#ifdef __cplusplus
}
#endif

#endif
