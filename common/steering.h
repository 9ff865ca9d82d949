/* What a backend says of itself in the answer to a probe: the words of HAProxy's agent check, and the server ids that
 * it claims.
 *
 * Only the first line counts, up to CR or LF, and only if it has nothing but such words: a page in prose says "last
 * maint 2026" and means nothing by it. Words are separated by spaces, tabs and commas. Their order and case do not
 * matter:
 *   up | down | fail | stopped   healthy or not, whatever the probe found
 *   ready | drain | maint        the administrative state
 *   75%                          of the configured weight, 0..100; 0: CID traffic only
 *   id:9, id:0xed793a            a server id it serves: a number, or in hex exactly as many octets as the layout has
 *   maxconn:30                   skipped: HAProxy's, and means nothing here
 * A # ends the line. What follows is a remark, as in "down#overloaded". An answer says everything: what it leaves out
 * is up, ready, 100 % and no claim. An answer that begins with {, [ or < is JSON, HTML or a list of links. It says
 * nothing at all, and no word of it is read.
 */
#ifndef CIDLB_STEERING_H
#define CIDLB_STEERING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cid.h"

enum backend_admin { BACKEND_READY, BACKEND_DRAIN, BACKEND_MAINT };

enum { STEERING_IDS = 32, STEERING_WORD_OCTETS = 32 };

struct steering {
	bool down;
	enum backend_admin admin;
	uint8_t percent; /* of the weight, 0..100 */
	uint8_t id_count;
	struct server_id ids[STEERING_IDS];
};

/* Up, ready, 100 %, no claims. */
extern const struct steering steering_none;

/* Reads an answer of any octets. Of contradictory words the stricter counts, and an id counts once. Skipped are
 * maxconn, percentages above 100, ids that do not fit `layout` and ids beyond STEERING_IDS. The first that is skipped
 * is in `unknown`, printable and shortened ("" if there is none). False: the line has the word in `unknown`, which is
 * none of these, so the answer says nothing. */
bool steering_read(struct steering *out, const struct cid_layout *layout, const uint8_t *text, size_t len,
		   char unknown[static STEERING_WORD_OCTETS]);

#endif
