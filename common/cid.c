#include "cid.h"

#include <errno.h>
#include <string.h>

static enum cid_result open_as(const struct cid_layout *layout, const uint8_t *cid, struct server_id *id)
{
	switch (layout->scheme) {
	case CID_LAYOUT_ID:
		id->len = layout->lbcid.size;
		return lbcid_open(&layout->lbcid, cid, layout->length, id->octets) == 0 ? CID_OPENED : CID_MISFIT;
	case CID_LAYOUT_HASH:
		return CID_HASHED;
	case CID_LAYOUT_NONE:
		break;
	}
	return CID_MISFIT;
}

void cid_open(struct cid_opened *out, const struct cid_layout *layout, const struct dtls_view *view, const uint8_t *data, size_t len)
{
	const size_t there = len - view->cid_at;

	out->cid = data + view->cid_at;
	out->cid_len = there < layout->length ? (uint8_t)there : layout->length;
	out->id = (struct server_id){ 0 };
	out->result = dtls_cid_fits(view, data, len, layout->length) ? open_as(layout, out->cid, &out->id) : CID_MISFIT;
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

static uint8_t hex_digit(char c)
{
	if (c <= '9')
		return (uint8_t)(c - '0');
	return (uint8_t)((c | 0x20) - 'a' + 10);
}

int cid_id_from_hex(struct server_id *out, const struct cid_layout *layout, const char *hex)
{
	const size_t digits = strspn(hex, "0123456789abcdefABCDEF");
	const size_t octets = cid_id_octets(layout);

	if (digits == 0 || hex[digits] != '\0')
		return -EINVAL;
	if (octets == 0 || digits != 2 * octets)
		return -ERANGE;
	*out = (struct server_id){ .len = (uint8_t)octets };
	for (size_t i = 0; i < octets; i++)
		out->octets[i] = (uint8_t)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
	return 0;
}
