/* What the server counted since it started, and its JSON form. */
#ifndef CIDLB_BENCH_BACKEND_REPORT_H
#define CIDLB_BENCH_BACKEND_REPORT_H

#include <stdint.h>
#include <stdio.h>

enum { REPORT_CHANGES = 256 };

struct report {
	uint64_t datagrams;          /* received, whatever they were */
	uint64_t hellos;             /* ClientHellos, with a cookie or without */
	uint64_t handshakes_started; /* cookie verified */
	uint64_t handshakes;         /* finished */
	uint64_t sessions;           /* alive; of a plain server: addresses it keeps state for */
	uint64_t sessions_loaded;    /* of an earlier server */
	uint64_t sessions_saved;     /* for the next server */
	uint64_t sessions_unsaved;   /* alive at the end, but such that mbedTLS cannot save them */
	uint64_t address_changes;
	uint64_t max_address_changes; /* of one session */
	uint64_t forged_records;      /* session_check() refused them */
	uint64_t unknown_cid;
	uint64_t bad_headers;                         /* through a tunnel, and not from a node of ours */
	uint64_t notifications;                       /* without retransmissions */
	uint64_t requests;                            /* without repeated ones */
	uint64_t sessions_by_changes[REPORT_CHANGES]; /* established or loaded, also those that have ended; the last:
							 that many or more */
};

/* Counts a new session, or a loaded one that has changed its address `changes` times. */
void report_count_session(struct report *report, uint64_t changes);

/* Counts that a session, which had changed its address `before` times, does so again. */
void report_count_change(struct report *report, uint64_t before);

/* Writes one JSON object and a newline. Returns 0 or -EIO. */
int report_write(FILE *out, unsigned id, const struct report *report);

/* Writes the same into a file, which is replaced as a whole. Returns 0 or -errno. */
int report_save(const char *file, unsigned id, const struct report *report);

#endif
