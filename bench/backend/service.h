/* What all sessions of the server share, and what it says of itself to a probe that asks. */
#ifndef CIDLB_BACKEND_SERVICE_H
#define CIDLB_BACKEND_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report.h"
#include "steering.h"

enum {
	SERVICE_IDS = UINT8_MAX + 1,
	SERVICE_WORDS_OCTETS = 128, /* of an operator's line; what is longer is cut */
	SERVICE_TEXT_OCTETS = 640,  /* the longest answer */
};

struct service {
	uint8_t id; /* of the CIDs that it hands out */
	uint32_t notify_ms;
	struct report *report;
	bool serves[SERVICE_IDS]; /* further ids: of loaded sessions */
	const char *steer;        /* a file, of the caller's; NULL: none */
};

/* Writes the answer, which needs no more than SERVICE_TEXT_OCTETS, and returns its length: a line of steering words (steering.h) with the
 * ids that it serves and the first line of the file `steer` as it is now, if there is one, and a line of counters as JSON. */
size_t service_describe(const struct service *service, char out[static SERVICE_TEXT_OCTETS]);

#endif
