/* Opens a CID with any layout. Input: scheme, length, offset and size (one octet each), then the datagram. */
#include <stdlib.h>
#include <string.h>

#include "common/cid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static int copy_random(void *ctx, uint8_t *out, size_t len)
{
	memcpy(out, ctx, len);
	return 0;
}

/* Minting with the CID as random octets and the id found in it gives the CID again. */
static void check_mint(const struct cid_layout *layout, const struct cid_opened *opened)
{
	uint8_t cid[LBCID_MAX_OCTETS], again[LBCID_MAX_OCTETS];

	memcpy(again, opened->cid, opened->cid_len);
	require(lbcid_mint(&layout->lbcid, opened->id.octets, copy_random, again, cid) == 0);
	require(memcmp(cid, opened->cid, opened->cid_len) == 0);
}

static void check_open(const struct cid_layout *layout, const struct dtls_view *view, const uint8_t *data, size_t len)
{
	struct cid_opened opened;

	cid_open(&opened, layout, view, data, len);
	require(opened.cid == data + view->cid_at);
	require(opened.cid_len >= 1 && opened.cid_len <= layout->length);
	require(opened.cid_len <= len - view->cid_at);
	require((opened.result != CID_MISFIT) == dtls_cid_fits(view, data, len, layout->length));
	require(opened.result == CID_MISFIT || opened.cid_len == layout->length);
	require(opened.result != CID_OPENED || layout->scheme == CID_LAYOUT_ID);
	require(opened.result != CID_HASHED || layout->scheme == CID_LAYOUT_HASH);
	if (opened.result != CID_OPENED)
		return;
	require(opened.id.len == cid_id_octets(layout));
	require(memcmp(opened.id.octets, opened.cid + layout->lbcid.offset, opened.id.len) == 0);
	check_mint(layout, &opened);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cid_layout layout;
	struct dtls_view view;

	if (len < 4)
		return 0;
	layout = (struct cid_layout){
		.scheme = data[0] & 1 ? CID_LAYOUT_ID : CID_LAYOUT_HASH,
		.lbcid = { .scheme = LBCID_NODE_ID, .length = data[1], .offset = data[2], .size = data[3] },
		.length = data[1],
	};
	if (layout.scheme == CID_LAYOUT_ID ? lbcid_check(&layout.lbcid) != 0
					   : layout.length < 1 || layout.length > LBCID_MAX_OCTETS)
		return 0;
	dtls_walk(&view, data + 4, len - 4);
	if (view.kind == DTLS_CID)
		check_open(&layout, &view, data + 4, len - 4);
	return 0;
}
