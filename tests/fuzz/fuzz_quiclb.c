/* Scheme quic-lb. Input: two configs (rotation, octets of the id, octets of the nonce, has a key: one octet each), 16
 * octets of key, then the datagram. */
#include <stdlib.h>
#include <string.h>

#include "common/cid.h"

enum { CONFIGS = 2, CONFIG_OCTETS = 4, HEAD_OCTETS = CONFIGS * CONFIG_OCTETS + LBCID_KEY_OCTETS };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static bool is_valid(const struct cid_rotation *config)
{
	return config->rotation <= 6 && config->id_octets >= 1 && config->id_octets <= 15 &&
	       config->nonce_octets >= 4 && config->id_octets + config->nonce_octets <= 19;
}

static int copy_nonce(void *ctx, uint8_t *out, size_t len)
{
	memcpy(out, ctx, len);
	return 0;
}

/* An id that was found can be minted with under any live config. What is minted names that config and opens to the
 * id. */
static void check_mint(const struct cid_layout *layout, const struct server_id *id,
		       uint8_t nonce[static LBCID_MAX_TEXT_OCTETS])
{
	for (uint8_t rotation = 0; rotation < 8; rotation++) {
		const struct lbcid_config *config = cid_config(layout, rotation);
		uint8_t cid[LBCID_MAX_OCTETS];
		struct server_id again;

		if (!config)
			continue;
		require(lbcid_mint(config, id->octets, copy_nonce, nonce, cid) == 0);
		require(cid[0] >> 5 == rotation && (cid[0] & 0x1f) == config->length - 1);
		require(config->key || memcmp(cid + 1 + id->len, nonce, config->length - 1U - id->len) == 0);
		require(cid_length(layout, cid[0]) == config->length);
		require(cid_open_octets(&again, layout, cid, config->length) == CID_OPENED);
		require(memcmp(&again, id, sizeof again) == 0);
		require(cid_open_octets(&again, layout, cid, config->length - 1U) == CID_MISFIT);
	}
}

static void check_open(const struct cid_layout *layout, const struct dtls_view *view, const uint8_t *data, size_t len)
{
	const struct lbcid_config *config = cid_config(layout, data[view->cid_at] >> 5);
	const uint8_t length = cid_length(layout, data[view->cid_at]);
	uint8_t nonce[LBCID_MAX_TEXT_OCTETS] = { 0 };
	struct cid_opened opened;

	cid_open(&opened, layout, view, data, len);
	require(opened.cid == data + view->cid_at);
	require(length >= 1 && length <= LBCID_MAX_OCTETS);
	require(opened.cid_len >= 1 && opened.cid_len <= length && opened.cid_len <= len - view->cid_at);
	require(opened.result == CID_OPENED || opened.result == CID_MISFIT || opened.result == CID_MIXED);
	require(opened.result != CID_MIXED || dtls_cid_fits(view, data, len, length));
	require(opened.result == CID_MIXED ||
		(opened.result == CID_OPENED) == (config && dtls_cid_fits(view, data, len, length)));
	if (opened.result != CID_OPENED)
		return;
	require(opened.cid_len == config->length && opened.id.len == config->size);
	memcpy(nonce, opened.cid, opened.cid_len < sizeof nonce ? opened.cid_len : sizeof nonce);
	check_mint(layout, &opened.id, nonce);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cid_rotation configs[CONFIGS] = { 0 };
	struct cid_layout layout, share;
	struct dtls_view view;

	if (len < HEAD_OCTETS)
		return 0;
	for (size_t i = 0; i < CONFIGS; i++) {
		const uint8_t *at = data + i * CONFIG_OCTETS;
		configs[i] = (struct cid_rotation){
			.rotation = at[0], .id_octets = at[1], .nonce_octets = at[2], .has_key = at[3] & 1
		};
		memcpy(configs[i].key, data + CONFIGS * CONFIG_OCTETS, LBCID_KEY_OCTETS);
	}
	const bool good = is_valid(&configs[0]) && is_valid(&configs[1]) &&
			  configs[0].rotation != configs[1].rotation && configs[0].id_octets == configs[1].id_octets;
	require((cid_layout_make(&layout, configs, CONFIGS) == 0) == good);
	if (!good)
		return 0;
	share = cid_layout_share(&layout);
	cid_layout_drop(&layout);
	dtls_walk(&view, data + HEAD_OCTETS, len - HEAD_OCTETS);
	if (view.kind == DTLS_CID)
		check_open(&share, &view, data + HEAD_OCTETS, len - HEAD_OCTETS);
	cid_layout_drop(&share);
	return 0;
}
