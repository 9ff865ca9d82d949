/* What is known of the sequence that fuzz_path.c plays, and what is required of what leaves: fuzz_path_check.c. */
#ifndef CIDLB_TESTS_FUZZ_PATH_CHECK_H
#define CIDLB_TESTS_FUZZ_PATH_CHECK_H

#include "tests/fuzz/fuzz_path_bed.h"
#include "tests/simulation/path/wire.h"

enum {
	SOURCES = 24,
	BAD_SOURCES = 20, /* the first of those that cannot be answered */
	CIDS = 8,
	ENDS = 2048
};

struct input {
	const uint8_t *at;
	size_t left;
};

/* An endpoint of the balancer, as a backend sees it. */
struct end {
	struct addr endpoint, backend;
	bool session; /* a datagram with nothing but a CID left through it */
	bool greets;  /* what shows no CID, or a flight, left through it */
	int cid;      /* index; -1: another, or none */
};

struct account {
	uint64_t sent, datagrams, got;
	bool shown;   /* sent the CID; since the last restart */
	bool greeted; /* a ServerHello with it went there; since the last restart */
	bool ensued;  /* then it sent the CID */
	bool proven;  /* then something protected went to its handshake: it may be proven */
	/* The same of one backend: which of them has given it out there, and that its source has shown it since. */
	bool given[BED_BACKENDS], shown_to[BED_BACKENDS];
};

/* A datagram of the batch under way. */
struct flying {
	uint8_t *data; /* exactly as long, so that AddressSanitizer sees a read behind it */
	size_t len;
	int source, service; /* uplinks */
	int greets;          /* replies: the index of a CID that it gives out, or -1 */
	int backend;         /* replies: the one that it comes from, or -1 */
	bool protected;
	const struct end *end; /* replies */
	unsigned sends;
	uint8_t sent_to[SOURCES]; /* bit n: service n */
};

struct fuzz {
	struct bed bed; /* first */
	struct input in;
	struct end ends[ENDS];
	size_t end_count;
	struct account accounts[SOURCES][CIDS];
	bool may_learn[CIDS][BED_BACKENDS]; /* … and then said something protected: over restarts, too */
	uint8_t addressed[SOURCES];         /* bit n: service n; since the last restart */
	uint64_t cookies[SOURCES];
	uint64_t received[BED_LISTENERS], answered;
	uint32_t most_flows, most_rate;
	struct flying batch[IO_BATCH];
	size_t batch_count;
	unsigned builds; /* of tables */
};

extern struct fuzz fuzz;

void require(bool holds);
struct addr source_addr(int source);
/* In a pool that learns they have four lengths. */
struct wire_cid cid_at(int cid);
/* The endpoint if something has left through it for this backend, or NULL. */
struct end *end_at(const struct addr *endpoint, const struct addr *backend);

/* For the bed: something leaves. */
void check_up(struct bed *bed, const struct io_send *send, const struct addr *endpoint, bool sent);
void check_down(struct bed *bed, const struct io_send *send, int service, bool sent);
/* Between two batches: counters and bounds. */
void check_counts(void);

#endif
