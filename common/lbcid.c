#include "lbcid.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "quiclb.h"

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

static int quic_lb_open(const struct lbcid_config *config, const uint8_t *cid, uint8_t *server_id)
{
	quiclb_block id;

	/* The length bits are not compared. Servers of another rotation may use them otherwise. */
	if (cid[0] >> 5 != config->rotation)
		return -EINVAL;
	if (!config->key) {
		memcpy(server_id, cid + 1, config->size);
		return 0;
	}
	id = quiclb_open(config->key, cid + 1, config->length - 1U, config->size);
	for (size_t i = 0; i < config->size; i++, id >>= 8)
		server_id[i] = (uint8_t)id;
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
		memset(cid, 0, LBCID_MAX_OCTETS); /* a CID that is half random can be guessed */
		return -EIO;
	}
	memcpy(cid + id_at, server_id, config->size);
	if (config->scheme == LBCID_NODE_ID)
		return 0;
	cid[0] = (uint8_t)(config->rotation << 5 | (config->length - 1));
	if (config->key)
		quiclb_seal(config->key, cid + 1, config->length - 1U);
	return 0;
}

int lbcid_open(const struct lbcid_config *config, const uint8_t *cid, size_t len,
	       uint8_t server_id[LBCID_MAX_ID_OCTETS])
{
	if (len != config->length)
		return -EINVAL;
	if (config->scheme == LBCID_QUIC_LB)
		return quic_lb_open(config, cid, server_id);
	memcpy(server_id, cid + config->offset, config->size);
	return 0;
}
