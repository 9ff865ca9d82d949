/* lbcid: Connection IDs that a CID-aware load balancer can route.
 *
 * Installed library. A server mints the CID it hands out (RFC 9146, section 3; mbedtls_ssl_set_cid) so that it carries the
 * server's id; the load balancer opens it. No I/O, no globals, no allocation; safe from any thread.
 */
#ifndef LBCID_H
#define LBCID_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LBCID_MAX_OCTETS    20 /* longest CID minted */
#define LBCID_MAX_ID_OCTETS 15 /* longest server id */

enum lbcid_scheme {
	LBCID_NODE_ID, /* octets offset .. offset+size are the server id, big endian, the rest random */
};

/* How a pool writes server ids into CIDs. Filled by the caller, checked by lbcid_check(), constant afterwards. */
struct lbcid_config {
	enum lbcid_scheme scheme;
	uint8_t length; /* of the whole CID, octets: 1..20 */
	uint8_t offset; /* of the server id, octets */
	uint8_t size;   /* of the server id, octets: 1..15, offset + size <= length */
};

/* Fills `len` octets with unpredictable ones; returns 0, anything else is an error. */
typedef int (*lbcid_random)(void *ctx, uint8_t *out, size_t len);

/* 0, or -EINVAL if a field is out of range. */
int lbcid_check(const struct lbcid_config *config);

/* Writes a CID of config->length octets with `server_id` (config->size octets) in it.
 * -EINVAL: a config that lbcid_check() refuses. -EIO: the random source failed; `cid` is then all zero. */
int lbcid_mint(const struct lbcid_config *config, const uint8_t *server_id, lbcid_random random, void *random_ctx,
	       uint8_t cid[LBCID_MAX_OCTETS]);

/* Reads the server id (config->size octets) out of a CID of `len` octets. -EINVAL: a length that is not config->length. */
int lbcid_open(const struct lbcid_config *config, const uint8_t *cid, size_t len, uint8_t server_id[LBCID_MAX_ID_OCTETS]);

#ifdef __cplusplus
}
#endif

#endif
