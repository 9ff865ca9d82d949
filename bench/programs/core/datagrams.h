/* What the cases read: many different datagrams of one form, met in an order that memory does not have them in, and
 * sources. */
#ifndef CIDLB_BENCH_CORE_DATAGRAMS_H
#define CIDLB_BENCH_CORE_DATAGRAMS_H

#include "common/snapshot.h"

enum datagram_form {
	/* Good ones. */
	FORM_CID,     /* a record of DTLS 1.2 with a CID (RFC 9146) */
	FORM_FLIGHT,  /* the last flight of a handshake: types 22, 20 and 25 */
	FORM_HELLO,   /* a ClientHello, with a padding extension */
	FORM_UNIFIED, /* a record of DTLS 1.3 with a CID (RFC 9147) */
	FORM_PLAIN,   /* application data of epoch 1 without a CID */
	FORM_MANY,    /* as many records as fit, 16 at most, of changing types; no CID */
	FORM_CIDS,    /* 16 records with one CID */
	FORM_MIX,     /* six in ten CID, else one of the others but the last two */
	/* To be refused. */
	FORM_UNKNOWN,     /* FORM_CID with a server id of nobody */
	FORM_FIRST_OCTET, /* no record begins so */
	FORM_TYPE_28,
	FORM_VERSION,    /* of TLS */
	FORM_CUT,        /* the record says that it is longer */
	FORM_CID_CUT,    /* the same of a CID record */
	FORM_FLIGHT_CUT, /* the last flight, whose last record is cut short in its header */
	FORM_EPOCH0,     /* application data without protection */
	FORM_RANDOM,     /* any octets; a few are good by chance */
	FORM_TINY,       /* as many records as fit, 16 at most, of 14 octets; the last is cut short */
	FORM_TINY_MIXED, /* … of changing types and lengths */
	FORM_TINY_CID,   /* … of 14 octets, and then a CID of nobody */
	FORM_MIXED,      /* 15 records with one CID, and then an alert */
};

enum { DATAGRAMS = 256, DATAGRAM_LEAST_OCTETS = 98, FLIGHT_LEAST_OCTETS = 115 };

struct datagram {
	const uint8_t *data;
	size_t len;
	struct addr from; /* of another device each */
};

struct datagrams {
	size_t count; /* a power of two */
	struct datagram *at;
	uint8_t *memory;
};

/* `octets` each, DATAGRAM_LEAST_OCTETS or FLIGHT_LEAST_OCTETS at least, with CIDs as `pool` reads them. */
void datagrams_make(struct datagrams *out, enum datagram_form form, size_t octets, const struct snapshot_pool *pool,
		    bool v6);
void datagrams_free(struct datagrams *datagrams);

static inline const struct datagram *datagrams_at(const struct datagrams *datagrams, size_t at)
{
	return &datagrams->at[at & (datagrams->count - 1)];
}

#endif
