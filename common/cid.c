#include "cid.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "hex.h"
#include "quiclb.h"

struct cid_rotations {
	atomic_size_t users; /* layouts that share it; the last may be dropped on another thread */
	struct lbcid_config configs[LBCID_ROTATIONS]; /* by rotation; length 0: not live */
	struct lbcid_key *keys[LBCID_ROTATIONS];
};

static void rotations_drop(struct cid_rotations *rotations)
{
	if (!rotations || atomic_fetch_sub(&rotations->users, 1) > 1)
		return;
	for (size_t i = 0; i < LBCID_ROTATIONS; i++)
		lbcid_key_free(rotations->keys[i]);
	free(rotations);
}

static int rotations_add(struct cid_rotations *rotations, const struct cid_rotation *added)
{
	struct lbcid_config config = {
		.scheme = LBCID_QUIC_LB,
		.length = (uint8_t)(1 + added->id_octets + added->nonce_octets),
		.size = added->id_octets,
		.rotation = added->rotation,
	};

	if (added->id_octets > LBCID_MAX_ID_OCTETS || added->nonce_octets > LBCID_MAX_TEXT_OCTETS ||
	    lbcid_check(&config) != 0)
		return -EINVAL;
	if (rotations->configs[added->rotation].length)
		return -EINVAL;
	if (added->has_key) {
		config.key = rotations->keys[added->rotation] = lbcid_key_new(added->key);
		if (!config.key)
			return -ENOMEM;
	}
	rotations->configs[added->rotation] = config;
	return 0;
}

int cid_layout_make(struct cid_layout *out, const struct cid_rotation *configs, size_t count)
{
	struct cid_rotations *rotations = calloc(1, sizeof *rotations);
	uint8_t length = 0;
	int err = count ? 0 : -EINVAL;

	*out = (struct cid_layout){ .scheme = CID_LAYOUT_NONE };
	if (!rotations)
		return -ENOMEM;
	atomic_init(&rotations->users, 1);
	for (size_t i = 0; !err && i < count; i++) {
		err = configs[i].id_octets == configs[0].id_octets ? rotations_add(rotations, &configs[i]) : -EINVAL;
		if (!err && rotations->configs[configs[i].rotation].length > length)
			length = rotations->configs[configs[i].rotation].length;
	}
	if (err) {
		rotations_drop(rotations);
		return err;
	}
	*out = (struct cid_layout){ CID_LAYOUT_ID, rotations->configs[configs[0].rotation], length, rotations };
	return 0;
}

struct cid_layout cid_layout_share(const struct cid_layout *layout)
{
	if (layout->rotations)
		atomic_fetch_add(&layout->rotations->users, 1);
	return *layout;
}

void cid_layout_drop(struct cid_layout *layout)
{
	rotations_drop(layout->rotations);
	*layout = (struct cid_layout){ .scheme = CID_LAYOUT_NONE };
}

static int zeros(void *ctx, uint8_t *out, size_t len)
{
	(void)ctx;
	memset(out, 0, len);
	return 0;
}

uint64_t cid_layout_hash(const struct cid_layout *layout, const struct siphash_key *key)
{
	static const uint8_t nobody[LBCID_MAX_ID_OCTETS];
	uint8_t octets[5 + LBCID_ROTATIONS * LBCID_MAX_OCTETS] = { (uint8_t)layout->scheme, layout->length,
								   layout->lbcid.offset, layout->lbcid.size,
								   layout->rotations != NULL };

	/* The CID that a config mints from zeros depends on the config and its key. */
	for (size_t i = 0; layout->rotations && i < LBCID_ROTATIONS; i++)
		(void)lbcid_mint(&layout->rotations->configs[i], nobody, zeros, NULL,
				 octets + 5 + i * LBCID_MAX_OCTETS);
	return siphash24(key, octets, sizeof octets);
}

const struct lbcid_config *cid_config(const struct cid_layout *layout, uint8_t rotation)
{
	if (layout->scheme != CID_LAYOUT_ID)
		return NULL;
	if (!layout->rotations)
		return &layout->lbcid;
	if (rotation >= LBCID_ROTATIONS || !layout->rotations->configs[rotation].length)
		return NULL;
	return &layout->rotations->configs[rotation];
}

uint8_t cid_rotated_length(const struct cid_layout *layout, uint8_t first)
{
	const struct lbcid_config *config = cid_config(layout, first >> 5);
	const uint8_t own = (first & 0x1f) + 1;

	if (config)
		return config->length;
	return own < LBCID_MAX_OCTETS ? own : LBCID_MAX_OCTETS;
}

enum cid_result cid_rotated_open(struct server_id *id, const struct cid_layout *layout, const uint8_t *cid)
{
	const struct lbcid_config *config = cid_config(layout, cid[0] >> 5);

	if (!config)
		return CID_MISFIT;
	if (config->key)
		server_id_set(id, quiclb_open(config->key, cid + 1, config->length - 1U, config->size), config->size);
	else
		server_id_set(id, bytes_le128(cid + 1, config->size), config->size);
	return CID_OPENED;
}

enum cid_result cid_open_beside(struct server_id *id, const struct cid_layout *layout, const struct dtls_view *view,
				const uint8_t *data, size_t len)
{
	const uint8_t *cid = data + view->cid_at;
	const uint8_t length = cid_length(layout, *cid);
	const size_t octets = dtls_cid_octets(view, data, len, length);

	if (octets == 0)
		return CID_MISFIT;
	if (!dtls_tail_fits(view, data, len, length, view->record_at + octets))
		return CID_MIXED;
	return cid_open_as(id, layout, cid);
}

enum cid_result cid_open_octets(struct server_id *id, const struct cid_layout *layout, const uint8_t *cid, size_t len)
{
	*id = (struct server_id){ 0 };
	if (len == 0 || len != cid_length(layout, cid[0]))
		return CID_MISFIT;
	return cid_open_as(id, layout, cid);
}

size_t cid_id_octets(const struct cid_layout *layout)
{
	return layout->scheme == CID_LAYOUT_ID ? layout->lbcid.size : 0;
}

int cid_id_from_number(struct server_id *out, const struct cid_layout *layout, uint64_t number)
{
	const size_t octets = cid_id_octets(layout);

	if (octets == 0)
		return -ERANGE;
	*out = (struct server_id){ .len = (uint8_t)octets };
	for (size_t i = octets; i-- > 0; number >>= 8)
		out->octets[i] = (uint8_t)number;
	return number == 0 ? 0 : -ERANGE;
}

int cid_id_from_hex(struct server_id *out, const struct cid_layout *layout, const char *hex)
{
	const size_t digits = hex_span(hex);
	const size_t octets = cid_id_octets(layout);

	if (digits == 0 || hex[digits] != '\0')
		return -EINVAL;
	if (octets == 0 || digits != 2 * octets)
		return -ERANGE;
	*out = (struct server_id){ .len = (uint8_t)octets };
	return hex_read(out->octets, octets, hex, digits);
}
