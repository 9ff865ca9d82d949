/* What a Redis server answers to who reads learned CIDs. Input: replies, as they come. */
#include <stdlib.h>
#include <string.h>

#include "learned/redis_reader.h"
#include "learned/share_priv.h"

enum { SMALL = LEARNED_MIN_CIDS };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct learned learned, sessions;
static struct learned_news news;

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* A node that reads for one pool, with the servers a and b, and is not connected. */
static struct share *begin(void)
{
	static struct conf_backend backends[] = { { .name = "a" }, { .name = "b" } };
	static struct conf_pool pool = {
		.name = "p", .max_cids = SMALL, .max_resumable = SMALL, .backends = backends, .backend_count = 2
	};
	static const struct conf conf = { .pools = &pool, .pool_count = 1, .has_redis = true, .redis.prefix = "cidlb" };
	static const uint8_t secret[16];
	const struct share_tables tables = { &learned, &sessions };
	static void *memory;
	struct share *share = calloc(1, sizeof *share);
	const size_t octets = (learned_octets(SMALL) + 63) / 64 * 64;

	if (!memory) {
		memory = aligned_alloc(64, 2 * octets);
		require(memory);
		memset(memory, 0, 2 * octets);
		learned_begin(&learned, memory, SMALL, secret);
		learned_begin(&sessions, (char *)memory + octets, SMALL, secret);
		learned.news = &news;
		(void)learned_member(&learned, "a");
		(void)learned_member(&learned, "b");
		(void)learned_member(&sessions, "b");
		addr_parse(&backends[0].addr, "10.0.0.1:5684");
		addr_parse(&backends[1].addr, "10.0.0.2:5684");
	}
	require(share && share_plan_new(&share->plan, &conf, &tables) == 0);
	share->told_foreign = share->told = share->told_works = true; /* no lines of the log */
	return share;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct event_base *base = event_base_new();
	struct share *share = begin();
	struct redis_reader reader;
	const char *fault = NULL;
	redisReply *reply;
	int taken = 0;

	share->to_works = true;
	share->from = redis_link_new(base, &share_read_calls, share);
	require(share->from);
	share->checks = len > 0 && data[0] == '*' && len % 2; /* the first is the answer to an XRANGE */
	share->plan->streams[0].last.ms = share->checks;
	require(redis_reader_begin(&reader) == 0);
	/* In two pieces, wherever they meet. */
	for (size_t at = 0, piece = len ? data[len - 1] % (len + 1) : 0; !fault && taken >= 0; piece = len - at) {
		require(redis_reader_feed(&reader, data + at, piece) == 0);
		at += piece;
		while (!fault && (taken = redis_reader_take(&reader, &reply)) > 0) {
			fault = share_read_calls.reply(share, reply);
			freeReplyObject(reply);
		}
		if (at == len)
			break;
	}
	redis_reader_end(&reader);
	require(learned_count(&learned) <= SMALL * 2 && learned_count(&sessions) <= SMALL * 2);
	redis_link_free(share->from);
	share_plan_free(share->plan);
	free(share);
	event_base_free(base);
	return 0;
}
