/* What the C core says of a frame, held against what the program did with it. */
#ifndef CIDLB_TESTS_ORACLE_FAST_JUDGE_H
#define CIDLB_TESTS_ORACLE_FAST_JUDGE_H

#include "tests/oracle/fast/bed.h"
#include "tests/oracle/fast/frame.h"

struct tally {
	unsigned long frames, sent, dropped, passed;
	unsigned long odd; /* passed up since the source has a bit in common with one that is odd */
	unsigned long by[POOL_KINDS][VERDICTS];
	unsigned long handled[POOL_KINDS][VERDICTS];
	unsigned long replies[POOL_KINDS]; /* sent */
	unsigned long wrong;
};

/* A frame of a device, and what is known of how it was made. */
struct up {
	struct frame frame;
	struct datagram datagram;
	enum pool_kind pool;
	uint16_t listener;
	bool unhandled;  /* something about the frame or its source: it must be passed up */
	bool may_be_odd; /* its source was rolled */
	bool single;     /* one record, as it was made */
	uint8_t payload[PAYLOAD_MAX];
};
void judge_up(struct bed *bed, const struct up *up, struct tally *tally);

/* A frame of a backend. */
struct down {
	struct frame frame;
	struct datagram datagram; /* to the tunnel, or to an address that carries a device's */
	enum pool_kind pool;
	bool unhandled;
	bool odd;       /* no device is where it goes */
	bool untouched; /* the header, or the address, is as the C core wrote it */
	uint8_t payload[PAYLOAD_MAX];
};
void judge_down(struct bed *bed, const struct down *down, struct tally *tally);

#endif
