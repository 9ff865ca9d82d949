/* Layouts: how the CIDs of a pool are read (design: pools.cid). One switch, one case per scheme.
 *
 * `quic-lb` will be a further lbcid scheme behind CID_LAYOUT_ID; `learned` a further member of enum cid_scheme.
 */
#ifndef CIDLB_CID_H
#define CIDLB_CID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dtls.h"
#include "lbcid.h"

enum cid_scheme {
	CID_LAYOUT_NONE, /* CIDs are ignored: all by address */
	CID_LAYOUT_ID,   /* the CID carries a server id (lbcid) */
	CID_LAYOUT_HASH, /* any CID of fixed length on the consistent hash */
};

struct cid_layout {
	enum cid_scheme scheme;
	struct lbcid_config lbcid; /* CID_LAYOUT_ID */
	uint8_t length;            /* octets, 1..20; CID_LAYOUT_ID: the same as lbcid.length; CID_LAYOUT_NONE: 0 */
};

struct server_id {
	uint8_t len; /* octets, 1..15 */
	uint8_t octets[LBCID_MAX_ID_OCTETS];
};

enum cid_result {
	CID_OPENED, /* CID_LAYOUT_ID: `id` is set */
	CID_HASHED, /* CID_LAYOUT_HASH: goes on the consistent hash */
	CID_MISFIT, /* the CID or the record's length does not fit the layout */
};

struct cid_opened {
	enum cid_result result;
	const uint8_t *cid; /* in the datagram */
	uint8_t cid_len;    /* octets; CID_MISFIT: what is there of layout->length, at least 1 */
	struct server_id id;
};

/* Opens the CID of a datagram whose view is DTLS_CID. Not for CID_LAYOUT_NONE. */
void cid_open(struct cid_opened *out, const struct cid_layout *layout, const struct dtls_view *view, const uint8_t *data, size_t len);

/* Octets of the server id this layout carries (0: none). */
size_t cid_id_octets(const struct cid_layout *layout);

/* The server id `number`, big endian in as many octets as the layout has. -ERANGE: does not fit. */
int cid_id_from_number(struct server_id *out, const struct cid_layout *layout, uint64_t number);

/* The server id written as hex, which must be exactly as long as the layout has. -EINVAL: no hex. -ERANGE: another length. */
int cid_id_from_hex(struct server_id *out, const struct cid_layout *layout, const char *hex);

#endif
