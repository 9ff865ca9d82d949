/* News of a table of learned CIDs: those that were just learned, for whoever passes them on to other nodes. A ring of
 * fixed size, which any number of threads write and one reads, without a lock. What finds no room in it is lost, and
 * counted. Pure.
 *
 * All zero: empty, and nobody wants any.
 */
#ifndef CIDLB_LEARNED_NEWS_H
#define CIDLB_LEARNED_NEWS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "learned.h"

enum { LEARNED_NEWS = 4096 };

struct learned_new {
	uint8_t cid[LEARNED_CID_MAX];
	uint8_t len;     /* octets */
	uint16_t member; /* who gave it out (learned.h) */
};

/* The members are for learned_news.c. */
struct learned_news {
	_Atomic bool wanted;
	_Atomic uint64_t lost, tail;
	uint64_t head;
	struct learned_news_slot {
		_Atomic uint64_t turn;
		struct learned_new what;
	} slots[LEARNED_NEWS];
};

/* From here on they are wanted, or not. The thread that reads. */
void learned_news_want(struct learned_news *news, bool wanted);

/* Any thread. Nothing is done if nobody wants them. */
void learned_news_post(struct learned_news *news, const uint8_t *cid, size_t len, uint16_t member);

/* False: there is none. One thread. */
bool learned_news_take(struct learned_news *news, struct learned_new *out);

/* How many found no room so far. */
uint64_t learned_news_lost(const struct learned_news *news);

#endif
