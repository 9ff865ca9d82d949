/* What all sessions of the server share, and what it says of itself to a probe that asks. */
#ifndef CIDLB_BENCH_BACKEND_SERVICE_H
#define CIDLB_BENCH_BACKEND_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/programs/backend/report.h"
#include "common/steering.h"

enum {
	SERVICE_IDS = STEERING_IDS - 1, /* beside its own */
	SERVICE_WORDS_OCTETS = 128,     /* of an operator's line; what is longer is cut */
	SERVICE_TEXT_OCTETS = 768,      /* the longest answer */
};

struct service {
	uint32_t id; /* of the CIDs that it hands out */
	uint32_t notify_ms;
	struct report *report;
	uint32_t serves[SERVICE_IDS]; /* further ids, of loaded sessions; ascending */
	size_t serves_count;
	const char *steer; /* a file, of the caller's; NULL: none */
};

/* A session with this id in its CID was loaded. Of more ids than an answer may have the lowest count. */
void service_add_id(struct service *service, uint32_t id);

/* Writes the answer, which needs no more than SERVICE_TEXT_OCTETS, and returns its length: a line of steering words
 * (steering.h) with the ids that it serves and the first line of the file `steer` as it is now, if there is one, and a
 * line of counters as JSON. */
size_t service_describe(const struct service *service, char out[static SERVICE_TEXT_OCTETS]);

#endif
