#include "path/handshakes.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "base/pages.h"
#include "path/pending_cids.h"

enum { WAYS = 2, SETS = HANDSHAKES_ENTRIES / WAYS };

/* What looks older may be younger than the clock of who asks: other threads' may be a second ahead. */
enum { AGE_MAX_S = UINT16_MAX / 2 };

_Static_assert((SETS & (SETS - 1)) == 0, "the lowest bits of a hash choose the set");

/* What an entry says. All zero: nothing. */
struct words {
	uint64_t tag_low : 16;
	uint64_t random : 16;
	uint64_t cookie : 24;
	uint64_t known : 1;
	uint64_t cookie_set : 1;
	uint64_t stage : 2;
	/* the second word */
	uint64_t tag_high : 16;
	uint64_t backend : 16;
	uint64_t began_s : 16;
	uint64_t free : 9;
};
_Static_assert(sizeof(struct words) == 16, "two words");

struct entry {
	_Atomic uint64_t words[2];
};
_Static_assert(sizeof(struct entry) == 16, "HANDSHAKES_ENTRIES of them are 1 MiB");

struct handshakes {
	struct siphash_key source_key;
	struct hello_key hello_key;
	struct pending_cids *pending;
	struct set {
		_Alignas(32) struct entry ways[WAYS];
	} sets[SETS];
	size_t next_swept; /* of the sets; of the thread that sweeps */
};

/* A handshake, taken out of its entry. */
struct found {
	bool known;
	size_t way; /* of the set; only if known */
	struct hello hello;
	uint16_t backend;
};

struct handshakes *handshakes_new(const uint8_t secret[static 16])
{
	const struct siphash_key key = siphash_key_load(secret);
	struct handshakes *handshakes = pages_take(sizeof *handshakes);

	if (!handshakes)
		return NULL;
	handshakes->source_key = siphash_key_derive(&key, "handshakes");
	handshakes->hello_key = hello_key_make(secret);
	handshakes->pending = pending_cids_new();
	if (handshakes->pending)
		return handshakes;
	handshakes_free(handshakes);
	return NULL;
}

void handshakes_free(struct handshakes *handshakes)
{
	if (handshakes)
		pending_cids_free(handshakes->pending);
	pages_return(handshakes, sizeof *handshakes);
}

struct pending_cids *handshakes_pending(struct handshakes *handshakes)
{
	return handshakes->pending;
}

uint64_t handshakes_source(const struct handshakes *handshakes, uint16_t pool, const struct addr *device)
{
	/* Another pool has another hash for each source. Nothing keyed hangs on the pool. */
	return siphash_addr(&handshakes->source_key, device, true) + pool * UINT64_C(0x9e3779b97f4a7c15);
}

static const struct set *set_of(const struct handshakes *handshakes, uint64_t source)
{
	return &handshakes->sets[source & (SETS - 1)];
}

void handshakes_prefetch(const struct handshakes *handshakes, uint64_t source)
{
	__builtin_prefetch(set_of(handshakes, source));
}

static struct words entry_read(const struct entry *entry)
{
	const uint64_t words[2] = {
		atomic_load_explicit(&entry->words[0], memory_order_relaxed),
		atomic_load_explicit(&entry->words[1], memory_order_relaxed),
	};
	struct words out;

	memcpy(&out, words, sizeof out);
	return out;
}

static void entry_write(struct entry *entry, const struct words *in)
{
	uint64_t words[2];

	memcpy(words, in, sizeof words);
	atomic_store_explicit(&entry->words[0], words[0], memory_order_relaxed);
	atomic_store_explicit(&entry->words[1], words[1], memory_order_relaxed);
}

static uint16_t age_s(const struct words *words, uint32_t now_s)
{
	return (uint16_t)(now_s - words->began_s);
}

static bool is_of(const struct words *words, uint64_t source)
{
	return words->known && words->tag_low == (source >> 16 & 0xffff) && words->tag_high == (source >> 32 & 0xffff);
}

static struct found find(const struct handshakes *handshakes, uint64_t source)
{
	const struct set *set = set_of(handshakes, source);

	for (size_t way = 0; way < WAYS; way++) {
		const struct words words = entry_read(&set->ways[way]);

		if (is_of(&words, source))
			return (struct found){
				.known = true,
				.way = way,
				.hello = { .random = words.random,
					   .began_s = words.began_s,
					   .cookie = words.cookie,
					   .known = 1,
					   .cookie_set = words.cookie_set,
					   .stage = words.stage,
					   .free = words.free },
				.backend = words.backend,
			};
	}
	return (struct found){ 0 };
}

/* What it costs to lose an entry: nothing, a hint, a handshake under way, one whose source is real. */
static unsigned worth(const struct words *words, uint32_t now_s)
{
	if (!words->known || age_s(words, now_s) > HANDSHAKES_HINT_S)
		return 0;
	if (age_s(words, now_s) > HELLO_LIFE_S)
		return 1;
	return words->stage == HELLO_STAGE_CONFIRMED ? 3 : 2;
}

/* The way that a new handshake takes the place of. */
static size_t worst_of(const struct set *set, uint32_t now_s)
{
	const struct words a = entry_read(&set->ways[0]), b = entry_read(&set->ways[1]);
	const unsigned a_worth = worth(&a, now_s), b_worth = worth(&b, now_s);

	if (a_worth == b_worth)
		return age_s(&a, now_s) < age_s(&b, now_s);
	return a_worth > b_worth;
}

static void keep(struct handshakes *handshakes, const struct found *found, uint64_t source)
{
	const struct words words = {
		.tag_low = source >> 16 & 0xffff,
		.random = found->hello.random,
		.cookie = found->hello.cookie,
		.known = 1,
		.cookie_set = found->hello.cookie_set,
		.stage = found->hello.stage,
		.tag_high = source >> 32 & 0xffff,
		.backend = found->backend,
		.began_s = found->hello.began_s,
		.free = found->hello.free,
	};

	entry_write(&handshakes->sets[source & (SETS - 1)].ways[found->way], &words);
}

struct handshakes_known handshakes_know(const struct handshakes *handshakes, uint64_t source, uint32_t now_s)
{
	const struct found found = find(handshakes, source);
	const uint16_t age_s = (uint16_t)(now_s - found.hello.began_s);

	if (!found.known || age_s > HANDSHAKES_HINT_S)
		return (struct handshakes_known){ .backend = HANDSHAKES_NO_HINT };
	return (struct handshakes_known){ found.backend, age_s, found.hello.stage == HELLO_STAGE_CONFIRMED };
}

uint16_t handshakes_hint(const struct handshakes *handshakes, uint64_t source, uint32_t now_s)
{
	return handshakes_know(handshakes, source, now_s).backend;
}

enum hello_step handshakes_look(const struct handshakes *handshakes, const struct handshakes_datagram *hello)
{
	const struct found found = find(handshakes, hello->source);

	return hello_look(&found.hello, &handshakes->hello_key, hello->data, hello->len, hello->now_s);
}

enum hello_step handshakes_take(struct handshakes *handshakes, const struct handshakes_datagram *hello,
				uint16_t backend)
{
	struct found found = find(handshakes, hello->source);
	const enum hello_step step =
		hello_take(&found.hello, &handshakes->hello_key, hello->data, hello->len, hello->now_s);

	if (step != HELLO_BEGINS && step != HELLO_GOES_ON)
		return step;
	if (!found.known)
		found.way = worst_of(set_of(handshakes, hello->source), hello->now_s);
	found.backend = backend;
	keep(handshakes, &found, hello->source);
	return step;
}

void handshakes_reply(struct handshakes *handshakes, const struct handshakes_datagram *reply, uint16_t backend)
{
	struct found found = find(handshakes, reply->source);
	struct hello_cid cid;

	if (!found.known ||
	    hello_reply(&found.hello, &handshakes->hello_key, reply->data, reply->len, &cid) != HELLO_SAID_RETRY)
		return;
	found.backend = backend;
	keep(handshakes, &found, reply->source);
}

/* What others write meanwhile stays, by its first word: but not if only that is there yet, or is the same. */
static void remove_if_old(struct entry *entry, uint32_t now_s)
{
	const struct words words = entry_read(entry);
	const uint16_t age = age_s(&words, now_s);
	uint64_t first;

	if (!words.known || age <= HANDSHAKES_HINT_S || age > AGE_MAX_S)
		return;
	memcpy(&first, &words, sizeof first);
	(void)atomic_compare_exchange_strong_explicit(&entry->words[0], &first, 0, memory_order_relaxed,
						      memory_order_relaxed);
}

void handshakes_sweep(struct handshakes *handshakes, uint32_t now_s)
{
	for (size_t i = 0; i < HANDSHAKES_SWEPT / WAYS; i++) {
		struct set *set = &handshakes->sets[handshakes->next_swept++ % SETS];

		for (size_t way = 0; way < WAYS; way++)
			remove_if_old(&set->ways[way], now_s);
	}
}
