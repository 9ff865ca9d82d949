/* Why one datagram goes where it goes: everything that route() looks at, kept for a reader. Pure. */
#ifndef CIDLB_CTL_EXPLAIN_H
#define CIDLB_CTL_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "common/route.h"
#include "common/snapshot.h"
#include "conf/conf.h"

enum { EXPLAIN_RECORDS = 64 };

/* One record as far as its cleartext goes. */
struct explain_record {
	size_t at;       /* in the datagram */
	uint8_t first;   /* octet: content type, or the bits 001CSLEE of DTLS 1.3 */
	bool has_number; /* types 20..27: `epoch` and `number` are set; DTLS 1.3: the low bits of the epoch alone */
	uint16_t epoch;
	uint64_t number;
	size_t octets; /* of the record; 0: not known (it bears a CID of unknown length, or is cut short) */
};

struct explanation {
	const struct conf_listener *listener;
	const struct snapshot_pool *pool;
	size_t octets;                                  /* of the datagram */
	struct explain_record records[EXPLAIN_RECORDS]; /* DTLS pools */
	size_t record_count;
	struct dtls_view view;
	bool by_cid; /* `opened`, and cid_lengths (bit n: a CID of n octets would fit) */
	struct cid_opened opened;
	bool learned; /* by a CID that only the running cidlb knows: opened.cid_len is 0, and `out` is of one that is
		       * not known */
	bool resumes; /* a ClientHello that offers to resume a session: only the running cidlb knows who can */
	uint64_t cid_lengths;
	bool has_source;
	struct addr source;
	struct route_out out;
	bool by_hash; /* `slot` and `ranked`; by address they are set only if has_source */
	uint32_t slot;
	uint16_t ranked[RENDEZVOUS_DEPTH]; /* RENDEZVOUS_NONE behind the last */
};

/* A datagram, and where it arrives. `listener`, `pool` and `data` must outlive the explanation. */
struct explain_question {
	const struct conf_listener *listener;
	const struct snapshot_pool *pool;
	const uint8_t *data;
	size_t len;                /* octets */
	const struct addr *source; /* NULL: not known */
	bool learns_sessions;      /* the pool does (max_resumable) */
};

void explain_make(struct explanation *out, const struct explain_question *question);

/* Reads the records of a datagram as far as their cleartext goes, up to one whose end is not known, or that is no DTLS.
 * CIDs have cid_len octets; 0: that is not known. Returns how many. */
size_t explain_read_records(struct explain_record records[static EXPLAIN_RECORDS], const uint8_t *data, size_t len,
			    size_t cid_len);

/* Prints on one line, without its end: "handshake (22), epoch 0, number 2, 32 octets". */
void explain_print_record(const struct explain_record *record, FILE *out);
json_t *explain_records_json(const struct explain_record *records, size_t count);

void explain_print_text(const struct explanation *explanation, FILE *out);

/* Returns 0 or -errno. */
int explain_print_json(const struct explanation *explanation, FILE *out);

#endif
