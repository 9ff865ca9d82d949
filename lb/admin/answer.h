/* What the answers to commands are made of: JSON and refusals. Each function returns NULL if memory runs out. */
#ifndef CIDLB_ADMIN_ANSWER_H
#define CIDLB_ADMIN_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/stats.h"
#include "common/addr.h"

/* {"ok": false, "error": …} */
json_t *answer_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The text, or null if there is none. */
json_t *answer_text(const char *text);
json_t *answer_address(const struct addr *addr);
json_t *answer_counter(const stats_counter *counter);
json_t *answer_hex(const uint8_t *octets, size_t count);

/* The answer as one line without its newline, malloc'd. Takes ownership of `answer`. */
char *answer_line(json_t *answer);

#endif
