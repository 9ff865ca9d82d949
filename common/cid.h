/* Layouts: how the CIDs of a pool are read (RFC 9146). There are four schemes; quic-lb is CID_LAYOUT_ID with
 * `rotations`.
 */
#ifndef CIDLB_CID_H
#define CIDLB_CID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "dtls.h"
#include "lbcid.h"
#include "siphash.h"

enum cid_scheme {
	CID_LAYOUT_NONE, /* CIDs are ignored; everything is routed by address */
	CID_LAYOUT_ID,   /* the CID carries a server id (lbcid) */
	CID_LAYOUT_HASH, /* any CID of fixed length, routed by consistent hash */
	/* Any CID that a server of the pool was seen to give out (learned.h). A layout cannot open it: route_in says
	 * where it leads. */
	CID_LAYOUT_LEARNED,
};

/* The live configs of scheme quic-lb and their keys. Immutable; the copies of a layout share and count them. */
struct cid_rotations;

/* A copy by assignment is a loan: it must not outlive the original. cid_layout_share() makes a copy that may. */
struct cid_layout {
	enum cid_scheme scheme;
	struct lbcid_config lbcid; /* CID_LAYOUT_ID; quic-lb: the first config, whose `size` all have */
	uint8_t length; /* octets, 1..20; CID_LAYOUT_ID: of the longest CID; CID_LAYOUT_NONE, CID_LAYOUT_LEARNED: 0 */
	struct cid_rotations *rotations; /* quic-lb; else NULL */
};

/* A config of scheme quic-lb as an operator writes it. */
struct cid_rotation {
	uint8_t rotation;     /* 0..6 */
	uint8_t id_octets;    /* 1..15 */
	uint8_t nonce_octets; /* 4..18; with id_octets at most 19 */
	bool has_key;
	uint8_t key[LBCID_KEY_OCTETS];
};

/* Compared and hashed as a whole, so the octets behind `len` are 0. */
struct server_id {
	uint8_t len; /* octets, 1..15 */
	uint8_t octets[LBCID_MAX_ID_OCTETS];
};

enum cid_result {
	CID_OPENED, /* CID_LAYOUT_ID: `id` is set */
	CID_HASHED, /* CID_LAYOUT_HASH: route it by consistent hash */
	CID_MISFIT, /* the CID or the record's length does not fit the layout */
	CID_MIXED,  /* behind the CID record stands what no device sends there (dtls_tail_fits()) */
};

struct cid_opened {
	enum cid_result result;
	const uint8_t *cid; /* in the datagram */
	uint8_t cid_len;    /* octets; CID_MISFIT: those of cid_length() that are there, at least 1 */
	struct server_id id;
};

/* Makes a layout of scheme quic-lb from `count` (1..7) configs that are live at once. Their rotations are distinct and
 * their id_octets equal. The first config mints, unless another is asked for. -EINVAL: the configs are not like that.
 * -ENOMEM. On an error `out` is CID_LAYOUT_NONE. */
int cid_layout_make(struct cid_layout *out, const struct cid_rotation *configs, size_t count);

/* A copy that is valid until it is dropped. Cannot fail. Any thread. */
struct cid_layout cid_layout_share(const struct cid_layout *layout);

/* Releases what cid_layout_make() or cid_layout_share() returned, and leaves CID_LAYOUT_NONE. Any other layout may be
 * dropped as well. */
void cid_layout_drop(struct cid_layout *layout);

/* Differs between layouts that do not open all CIDs alike, even if only their keys differ. */
uint64_t cid_layout_hash(const struct cid_layout *layout, const struct siphash_key *key);

/* The config that mints and opens CIDs of this rotation. A layout without rotations has one config for all. NULL: no
 * such config, or the CIDs carry no ids. */
const struct lbcid_config *cid_config(const struct cid_layout *layout, uint8_t rotation);

/* For scheme quic-lb only; cid_length() and cid_open_as() call them. */
uint8_t cid_rotated_length(const struct cid_layout *layout, uint8_t first);
enum cid_result cid_rotated_open(struct server_id *id, const struct cid_layout *layout, const uint8_t *cid);

/* Octets of a CID that begins with the octet `first`. quic-lb: the length in the config of its rotation. If that
 * rotation is not live, the length that the octet itself states, at most 20. CID_LAYOUT_NONE and CID_LAYOUT_LEARNED: 0.
 */
static inline uint8_t cid_length(const struct cid_layout *layout, uint8_t first)
{
	return layout->rotations ? cid_rotated_length(layout, first) : layout->length;
}

/* Sets the octets from a little-endian number. They are written as whole words, because they are soon read as whole
 * words. */
static inline void server_id_set(struct server_id *id, unsigned __int128 octets, uint8_t len)
{
	const uint64_t words[2] = { htole64((uint64_t)octets << 8 | len), htole64((uint64_t)(octets >> 56)) };
	_Static_assert(sizeof words == sizeof *id, "length and octets");

	memcpy(id, words, sizeof words);
}

/* This and cid_rotated_open() do the work of lbcid_open(). That function would repeat checks already made, and would
 * write the id octet by octet. */
static inline enum cid_result cid_node_id_open(struct server_id *id, const struct lbcid_config *config,
					       const uint8_t *cid)
{
	cid += config->offset;
	if (config->size > 2)
		server_id_set(id, bytes_le128(cid, config->size), config->size);
	else
		server_id_set(id, config->size == 2 ? cid[0] | (unsigned)cid[1] << 8 : cid[0], config->size);
	return CID_OPENED;
}

/* `cid` must be as long as the layout says. */
static inline enum cid_result cid_open_as(struct server_id *id, const struct cid_layout *layout, const uint8_t *cid)
{
	if (layout->rotations)
		return cid_rotated_open(id, layout, cid);
	if (layout->scheme == CID_LAYOUT_ID)
		return cid_node_id_open(id, &layout->lbcid, cid);
	return layout->scheme == CID_LAYOUT_HASH ? CID_HASHED : CID_MISFIT;
}

/* For cid_open(): where the record does not end with the datagram. */
enum cid_result cid_open_beside(struct server_id *id, const struct cid_layout *layout, const struct dtls_view *view,
				const uint8_t *data, size_t len);

/* Opens the CID of a datagram whose view is DTLS_CID, and reads the datagram to its end. Not for CID_LAYOUT_NONE and
 * CID_LAYOUT_LEARNED, which do not say how long a CID is. In the header, because every datagram of a session takes this
 * path. */
static inline void cid_open(struct cid_opened *out, const struct cid_layout *layout, const struct dtls_view *view,
			    const uint8_t *data, size_t len)
{
	const uint8_t *cid = data + view->cid_at;
	const size_t there = len - view->cid_at;
	const uint8_t length = cid_length(layout, *cid);
	const size_t octets = dtls_cid_octets(view, data, len, length);

	out->cid = cid;
	out->cid_len = there < length ? (uint8_t)there : length;
	if (__builtin_expect(octets != 0 && view->record_at + octets == len, true))
		out->result = cid_open_as(&out->id, layout, cid);
	else
		out->result = cid_open_beside(&out->id, layout, view, data, len);
	if (out->result != CID_OPENED)
		out->id = (struct server_id){ 0 };
}

/* Opens a CID that was taken out of its datagram. CID_MISFIT: also a length other than the layout's. */
enum cid_result cid_open_octets(struct server_id *id, const struct cid_layout *layout, const uint8_t *cid, size_t len);

/* Octets of the server id this layout carries (0: none). */
size_t cid_id_octets(const struct cid_layout *layout);

/* The server id `number`, big endian, in as many octets as the layout has. -ERANGE: it does not fit. */
int cid_id_from_number(struct server_id *out, const struct cid_layout *layout, uint64_t number);

/* Reads a server id in hex, which must be exactly as long as the layout's. -EINVAL: not hex. -ERANGE: another
 * length. */
int cid_id_from_hex(struct server_id *out, const struct cid_layout *layout, const char *hex);

#endif
