/* One datagram, one verdict, one counter: received = sum of verdicts. */
#ifndef CIDLB_VERDICT_H
#define CIDLB_VERDICT_H

enum verdict {
	/* routed */
	VERDICT_CID,          /* CID of a known id, backend up and ready */
	VERDICT_CID_DRAINING, /* … its backend is draining */
	VERDICT_CID_DOWN,     /* … its backend is down: no other has the keys, and health can be wrong */
	VERDICT_HASH,         /* consistent hash of the source */
	VERDICT_HINT,         /* the backend that is remembered for the source */
	VERDICT_CID_HASHED,   /* consistent hash of the CID */
	/* dropped */
	VERDICT_BAD_SOURCE,  /* nobody can be answered there: no address of a host, or a loop */
	VERDICT_MALFORMED,   /* not DTLS: cut short, or another version */
	VERDICT_TYPE,        /* not DTLS: first octet of a record */
	VERDICT_EPOCH0_DATA, /* application data or a CID in epoch 0 */
	VERDICT_MIXED,       /* records beside a CID or a ClientHello that no device sends there; more than 16 */
	VERDICT_UNKNOWN_CID, /* id of no backend, or a CID or record length that does not fit the layout */
	VERDICT_MAINT,       /* CID of a backend in maint */
	VERDICT_NO_BACKEND,  /* no backend accepts new sessions */
	VERDICT_LIMITED,     /* rate limit */
	VERDICTS,
	VERDICT_FIRST_DROP = VERDICT_BAD_SOURCE,
};

static inline int verdict_is_routed(enum verdict verdict)
{
	return verdict < VERDICT_FIRST_DROP;
}

/* "cid", "cid_draining", …: as in metrics. */
const char *verdict_name(enum verdict verdict);

#endif
