#include "learned_news.h"

#include <string.h>

/* A slot's turn is even before it is written, and odd after: 2n and 2n + 1 in round n of the ring. */
static uint64_t turn_of(uint64_t at)
{
	return at / LEARNED_NEWS * 2;
}

void learned_news_want(struct learned_news *news, bool wanted)
{
	atomic_store_explicit(&news->wanted, wanted, memory_order_relaxed);
}

void learned_news_post(struct learned_news *news, const uint8_t *cid, size_t len, uint16_t member)
{
	uint64_t at = atomic_load_explicit(&news->tail, memory_order_relaxed);
	struct learned_news_slot *slot;

	if (!atomic_load_explicit(&news->wanted, memory_order_relaxed) || len > LEARNED_CID_MAX)
		return;
	for (;;) {
		slot = &news->slots[at % LEARNED_NEWS];
		if (atomic_load_explicit(&slot->turn, memory_order_acquire) == turn_of(at)) {
			if (atomic_compare_exchange_weak_explicit(&news->tail, &at, at + 1, memory_order_relaxed,
								  memory_order_relaxed))
				break;
			continue;
		}
		const uint64_t now = atomic_load_explicit(&news->tail, memory_order_relaxed);
		if (now == at) {
			atomic_fetch_add_explicit(&news->lost, 1, memory_order_relaxed);
			return;
		}
		at = now;
	}
	slot->what = (struct learned_new){ .len = (uint8_t)len, .member = member };
	memcpy(slot->what.cid, cid, len);
	atomic_store_explicit(&slot->turn, turn_of(at) + 1, memory_order_release);
}

bool learned_news_take(struct learned_news *news, struct learned_new *out)
{
	struct learned_news_slot *slot = &news->slots[news->head % LEARNED_NEWS];

	if (atomic_load_explicit(&slot->turn, memory_order_acquire) != turn_of(news->head) + 1)
		return false;
	*out = slot->what;
	atomic_store_explicit(&slot->turn, turn_of(news->head) + 2, memory_order_release);
	news->head++;
	return true;
}

uint64_t learned_news_lost(const struct learned_news *news)
{
	return atomic_load_explicit(&news->lost, memory_order_relaxed);
}
