#include "path/learned_cids.h"

#include <stdlib.h>
#include <string.h>

#include "path/forward.h"
#include "path/given_cid.h"
#include "path/pending_cids.h"

/* There are many more numbers than servers, so they only run out after thousands of renamed ones. A server that workers
 * still know keeps its number, as they may learn what it gives out. */
static void members_make_room(const struct snapshot_pool *pool, struct learned *cids,
			      const struct learned_servers *previous)
{
	bool *keep = calloc(LEARNED_MEMBERS, sizeof *keep);

	for (size_t i = 0; keep && i < pool->backend_count; i++) {
		const uint16_t member = learned_member_known(cids, pool->backends[i].name);

		if (member != LEARNED_NOBODY)
			keep[member] = true;
	}
	for (size_t i = 0; keep && previous && i < LEARNED_MEMBERS; i++)
		keep[i] |= previous->at[i] != SNAPSHOT_NO_BACKEND;
	if (keep)
		learned_forget_members(cids, keep);
	free(keep);
}

struct learned_servers *learned_servers_new(const struct snapshot_pool *pool, struct learned *cids,
					    const struct learned_servers *previous)
{
	struct learned_servers *servers = malloc(sizeof *servers + pool->backend_count * sizeof servers->members[0]);

	if (!servers)
		return NULL;
	servers->cids = cids;
	memset(servers->at, 0xff, sizeof servers->at);
	_Static_assert(SNAPSHOT_NO_BACKEND == UINT16_MAX, "two octets 0xff");
	for (size_t i = 0; i < pool->backend_count; i++) {
		uint16_t member = learned_member(cids, pool->backends[i].name);

		if (member == LEARNED_NOBODY) {
			members_make_room(pool, cids, previous);
			member = learned_member(cids, pool->backends[i].name);
		}
		servers->members[i] = member;
		if (member != LEARNED_NOBODY)
			servers->at[member] = (uint16_t)i;
	}
	return servers;
}

void learned_servers_free(struct learned_servers *servers)
{
	free(servers);
}

/* Look-ups for a batch: for each datagram the lengths that fit, the longest first. */
struct asking {
	struct learned_asked asked[LEARNED_AT_ONCE];
	uint8_t at[LEARNED_AT_ONCE]; /* in the batch */
	size_t count;
};
_Static_assert(LEARNED_AT_ONCE >= LEARNED_LENGTHS, "one datagram has room");

/* True: with a CID of `len` octets the record is whole. */
static bool fits(const struct route_in *in, uint8_t len)
{
	return dtls_cid_octets(&in->view, in->data, in->len, len) != 0;
}

static void ask(struct asking *asking, uint32_t lengths, struct route_in *in, uint8_t at)
{
	for (uint32_t left = lengths; left;) {
		const uint8_t len = (uint8_t)(31 - __builtin_clz(left));

		left ^= UINT32_C(1) << len;
		if (!fits(in, len))
			continue;
		asking->asked[asking->count].cid = in->data + in->view.cid_at;
		asking->asked[asking->count].len = len;
		asking->at[asking->count++] = at;
		if (in->learned_len == 0)
			in->learned_len = len;
	}
}

static uint16_t at_of(const struct learned_servers *servers, uint16_t member)
{
	return member < LEARNED_MEMBERS ? servers->at[member] : SNAPSHOT_NO_BACKEND;
}

static void answer(struct batch *batch, const struct learned_asked *asked, uint8_t of, const struct learned_by *by)
{
	const struct learned_servers *servers = batch->settings->learned;
	const uint16_t last = at_of(servers, by->last), before = at_of(servers, by->before);
	struct route_in *in = &batch->in[of];

	if (last == SNAPSHOT_NO_BACKEND && before == SNAPSHOT_NO_BACKEND)
		return;
	in->learned_len = asked->len;
	in->learned_at = last == SNAPSHOT_NO_BACKEND ? before : last;
	batch->up[of].shared =
		last != SNAPSHOT_NO_BACKEND && before != SNAPSHOT_NO_BACKEND ? before : SNAPSHOT_NO_BACKEND;
}

static void look_up(struct batch *batch, struct asking *asking)
{
	struct learned_by by[LEARNED_AT_ONCE];

	learned_find_all(batch->settings->learned->cids, asking->asked, by, asking->count);
	for (size_t i = 0; i < asking->count; i++)
		if (batch->in[asking->at[i]].learned_at == SNAPSHOT_NO_BACKEND)
			answer(batch, &asking->asked[i], asking->at[i], &by[i]);
	asking->count = 0;
}

void learned_cids_recall(struct batch *batch)
{
	const uint32_t lengths = learned_lengths(batch->settings->learned->cids);
	struct asking asking;

	asking.count = 0;
	for (size_t i = 0; i < batch->count; i++) {
		struct route_in *in = &batch->in[i];

		in->learned_at = SNAPSHOT_NO_BACKEND;
		in->learned_len = 0;
		batch->up[i].shared = SNAPSHOT_NO_BACKEND;
		if (in->view.kind != DTLS_CID)
			continue;
		if (asking.count > LEARNED_AT_ONCE - LEARNED_LENGTHS)
			look_up(batch, &asking);
		ask(&asking, lengths, in, (uint8_t)i);
	}
	look_up(batch, &asking);
}

bool learned_cids_is(const struct route_in *in, const uint8_t *cid, uint8_t len)
{
	return len > 0 && in->len - in->view.cid_at >= len && memcmp(in->data + in->view.cid_at, cid, len) == 0 &&
	       fits(in, len);
}

void learned_cids_offer(const struct learned_servers *servers, struct pending_cids *pending,
			const struct given_cid *given, uint32_t now_s)
{
	const uint16_t at = snapshot_backend_of_uid(given->pool, given->backend);
	struct learned_place place;
	struct learned_by by;

	if (!servers || given->len == 0 || at == SNAPSHOT_NO_BACKEND)
		return;
	place = learned_look(servers->cids, given->octets, given->len);
	if (learned_find(servers->cids, &place, &by) &&
	    (by.last != servers->members[at] || by.before != LEARNED_NOBODY))
		pending_cids_contest(pending, now_s);
}

void learned_cids_add(const struct learned_servers *servers, const struct snapshot_pool *pool, uint16_t backend,
		      const uint8_t *cid, uint8_t len)
{
	const uint16_t at = snapshot_backend_of_uid(pool, backend);

	if (servers && len > 0 && at != SNAPSHOT_NO_BACKEND && servers->members[at] != LEARNED_NOBODY)
		(void)learned_add(servers->cids, cid, len, servers->members[at]);
}
