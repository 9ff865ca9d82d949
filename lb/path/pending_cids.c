#include "path/pending_cids.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/cpu_turn.h"
#include "path/learned_cids.h"

enum { WAYS = 2, SETS = PENDING_CIDS / WAYS, SERVER_HELLO = 2 };

_Static_assert((SETS & (SETS - 1)) == 0, "the lowest bits of a hash choose the set");

struct pending {
	uint64_t source; /* with `known` */
	uint32_t since_s;
	uint16_t backend;
	bool known;
	struct handshake handshake;
};

struct pending_cids {
	_Atomic uint32_t contested_until_s; /* 0: nobody has contested any */
	struct set {
		atomic_bool locked;
		_Atomic uint32_t tags[WAYS]; /* of the sources of `ways`; 0: none. Written under the lock */
		struct pending ways[WAYS];
	} sets[SETS];
};

_Static_assert(sizeof(struct set) <= 112 * WAYS, "as the header says");

struct pending_cids *pending_cids_new(void)
{
	return calloc(1, sizeof(struct pending_cids));
}

void pending_cids_free(struct pending_cids *pending)
{
	free(pending);
}

static struct set *set_of(struct pending_cids *pending, uint64_t source)
{
	return &pending->sets[source & (SETS - 1)];
}

static uint32_t tag_of(uint64_t source)
{
	return (uint32_t)(source >> 32) | 1;
}

/* False: nothing is known of the source. */
static bool set_has(struct set *set, uint64_t source)
{
	for (size_t way = 0; way < WAYS; way++)
		if (atomic_load_explicit(&set->tags[way], memory_order_relaxed) == tag_of(source))
			return true;
	return false;
}

/* It waits, however long. What a server gives out is in a datagram that may come only once. */
static void set_lock(struct set *set)
{
	unsigned tries = 0;

	while (atomic_exchange_explicit(&set->locked, true, memory_order_acquire))
		while (atomic_load_explicit(&set->locked, memory_order_relaxed))
			cpu_turn_wait(&tries);
}

static void set_unlock(struct set *set)
{
	for (size_t way = 0; way < WAYS; way++)
		atomic_store_explicit(&set->tags[way], set->ways[way].known ? tag_of(set->ways[way].source) : 0,
				      memory_order_relaxed);
	atomic_store_explicit(&set->locked, false, memory_order_release);
}

static struct pending *find(struct set *set, uint64_t source)
{
	for (size_t way = 0; way < WAYS; way++)
		if (set->ways[way].known && set->ways[way].source == source)
			return &set->ways[way];
	return NULL;
}

static struct pending *make(struct set *set, const struct pending_reply *reply)
{
	struct pending *pending = &set->ways[0];

	for (size_t way = 1; way < WAYS && pending->known; way++)
		if (!set->ways[way].known || reply->now_s - set->ways[way].since_s > reply->now_s - pending->since_s)
			pending = &set->ways[way];
	*pending = (struct pending){
		.source = reply->source, .since_s = reply->now_s, .backend = reply->backend, .known = true
	};
	return pending;
}

bool pending_cids_find(struct pending_cids *pending, uint64_t source, const struct route_in *in, uint16_t *backend,
		       uint8_t *len)
{
	const struct handshake_datagram up = { in->data, in->len, 0 };
	struct set *set = set_of(pending, source);
	struct pending *found;
	bool gave;

	if (!set_has(set, source))
		return false;
	set_lock(set);
	found = find(set, source);
	gave = found && found->handshake.given &&
	       learned_cids_is(in, found->handshake.cid.octets, found->handshake.cid.len);
	if (gave) {
		*backend = found->backend;
		*len = found->handshake.cid.len;
		handshake_show(&found->handshake, found->handshake.cid.octets, *len, &up);
	}
	set_unlock(set);
	return gave;
}

void pending_cids_contest(struct pending_cids *pending, uint32_t now_s)
{
	atomic_store_explicit(&pending->contested_until_s, now_s + PENDING_CONTEST_S, memory_order_relaxed);
}

bool pending_cids_contested(const struct pending_cids *pending, uint32_t now_s)
{
	return now_s < atomic_load_explicit(&pending->contested_until_s, memory_order_relaxed);
}

static bool is_server_hello(const struct pending_reply *reply)
{
	return dtls_answers_hello(reply->data, reply->len) && reply->data[0] == DTLS_HANDSHAKE &&
	       reply->data[DTLS_HEADER_OCTETS] == SERVER_HELLO;
}

/* The ServerHello of another server is of another handshake. */
static struct pending *pending_of(struct set *set, const struct pending_reply *reply)
{
	struct pending *there = find(set, reply->source);

	if (there && there->backend != reply->backend) {
		if (!is_server_hello(reply))
			return NULL;
		there->known = false;
		there = NULL;
	}
	return there || !is_server_hello(reply) ? there : make(set, reply);
}

/* No ClientHello went through here (handshake.begun), so nothing is held back. */
static enum pending_step take(struct pending *pending, const struct hello_key *key, const struct pending_reply *reply,
			      struct pending_said *said)
{
	struct handshake *handshake = &pending->handshake;
	const struct handshake_datagram down = { reply->data, reply->len, reply->now_s };
	const struct handshake_news news = handshake_reply(handshake, key, &down, NULL, NULL);
	bool over_without = false;

	if (reply->names && !handshake->given)
		over_without = resume_reply(&handshake->resume, reply->names, reply->data, reply->len, &said->given);
	/* In a pool that does not learn CIDs nothing more is to be learned of a session that has one. */
	pending->known = !news.over && !over_without && (reply->learns_cids || !handshake->given);
	said->cid = handshake->cid;
	if (over_without)
		return PENDING_OVER_WITHOUT_CID;
	if (news.over && handshake->given)
		return PENDING_OVER;
	return news.gave ? PENDING_GIVEN : PENDING_NOTHING;
}

enum pending_step pending_cids_reply(struct pending_cids *pending, const struct hello_key *key,
				     const struct pending_reply *reply, struct pending_said *said)
{
	struct set *set = set_of(pending, reply->source);
	enum pending_step step = PENDING_NOTHING;
	struct pending *of;

	if (!set_has(set, reply->source) && !is_server_hello(reply))
		return PENDING_NOTHING;
	set_lock(set);
	of = pending_of(set, reply);
	if (of)
		step = take(of, key, reply, said);
	set_unlock(set);
	return step;
}
