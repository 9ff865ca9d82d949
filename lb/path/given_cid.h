/* Where the CID leads that a server's ServerHello gives out. If it leads to another server than the handshake is with,
 * the session ends with its handshake: server ids are swapped, or wrong, or random. Only servers can cause what is
 * noted here, because it is read in their replies. */
#ifndef CIDLB_PATH_GIVEN_CID_H
#define CIDLB_PATH_GIVEN_CID_H

#include "path/path.h"

/* path.foreign_leads: to no backend. A backend is its uid + 1. */
enum { GIVEN_CID_NOTHING = 0, GIVEN_CID_NOBODY = UINT16_MAX };
_Static_assert((int)STATS_BACKENDS < (int)GIVEN_CID_NOBODY, "uids and this are different");

/* A CID that a backend has given out. */
struct given_cid {
	const struct snapshot_pool *pool;
	uint16_t backend; /* uid */
	const uint8_t *octets;
	size_t len;
};

/* The index of the backend that the CID leads to. SNAPSHOT_NO_BACKEND: it is not the one that gave it out. In a pool of
 * scheme "hash" it may be any. */
uint16_t given_cid_home(const struct given_cid *cid);

/* Notes if the CID leads to another backend, or to none. */
void given_cid_note(struct path *path, const struct given_cid *cid);

#endif
