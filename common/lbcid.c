#include "lbcid.h"

#include <errno.h>
#include <string.h>

int lbcid_check(const struct lbcid_config *config)
{
	if (config->scheme != LBCID_NODE_ID || config->length < 1 || config->length > LBCID_MAX_OCTETS)
		return -EINVAL;
	if (config->size < 1 || config->size > LBCID_MAX_ID_OCTETS || config->offset + config->size > config->length)
		return -EINVAL;
	return 0;
}

int lbcid_mint(const struct lbcid_config *config, const uint8_t *server_id, lbcid_random random, void *random_ctx,
	       uint8_t cid[LBCID_MAX_OCTETS])
{
	memset(cid, 0, LBCID_MAX_OCTETS);
	if (lbcid_check(config) != 0)
		return -EINVAL;
	if (random(random_ctx, cid, config->length) != 0) {
		memset(cid, 0, LBCID_MAX_OCTETS); /* half random is guessable */
		return -EIO;
	}
	memcpy(cid + config->offset, server_id, config->size);
	return 0;
}

int lbcid_open(const struct lbcid_config *config, const uint8_t *cid, size_t len, uint8_t server_id[LBCID_MAX_ID_OCTETS])
{
	if (len != config->length)
		return -EINVAL;
	/* On the load balancer's packet path, and mostly of one or two octets: a call of memcpy() would cost more. */
	for (size_t i = 0; i < config->size; i++)
		server_id[i] = cid[config->offset + i];
	return 0;
}
