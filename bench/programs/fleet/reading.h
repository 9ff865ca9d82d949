/* What a device asks its server for. Pure: it fills in all of a request but its type and message id. */
#ifndef CIDLB_BENCH_FLEET_READING_H
#define CIDLB_BENCH_FLEET_READING_H

#include <stddef.h>
#include <stdint.h>

#include "bench/programs/fleet/exchange.h"
#include "common/coap.h"

enum {
	READING_HEAD_OCTETS = 16, /* of a message to /echo before its payload: header, token, path, format, marker */
	READING_OCTETS_MIN = READING_HEAD_OCTETS + 1,
	READING_OCTETS_MAX = 128,
	READING_TEXT_OCTETS = READING_OCTETS_MAX - READING_HEAD_OCTETS + 1,
};

/* Registers the observation of /time, always with the same token: a registration replaces the one before. RFC 7641,
 * section 3.3.1. */
void reading_observe(struct coap_message *request, const struct observation *observation);

/* GET of `path`. `number`: of the reading, which is its token. */
void reading_get(struct coap_message *request, uint32_t number, const char *path);

/* The same with `octets` in all, READING_OCTETS_MIN..MAX. */
void reading_post_octets(struct coap_message *request, uint32_t number, size_t octets,
			 char text[static READING_TEXT_OCTETS]);

/* POST of a reading to /echo; the request points into `text`. */
void reading_post(struct coap_message *request, uint32_t number, unsigned device,
		  char text[static READING_TEXT_OCTETS]);

#endif
