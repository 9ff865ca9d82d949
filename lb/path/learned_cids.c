#include "path/learned_cids.h"

#include <stdlib.h>
#include <string.h>

#include "path/forward.h"
#include "path/given_cid.h"
#include "path/pending_cids.h"

/* There are many more numbers than servers, so they only run out after thousands of renamed ones. */
static void members_make_room(const struct snapshot_pool *pool, struct learned *cids)
{
	bool *keep = calloc(LEARNED_MEMBERS, sizeof *keep);

	for (size_t i = 0; keep && i < pool->backend_count; i++) {
		const uint16_t member = learned_member_known(cids, pool->backends[i].name);

		if (member != LEARNED_NOBODY)
			keep[member] = true;
	}
	if (keep)
		learned_forget_members(cids, keep);
	free(keep);
}

struct learned_servers *learned_servers_new(const struct snapshot_pool *pool, struct learned *cids)
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
			members_make_room(pool, cids);
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

/* A look-up that is under way. */
struct asking {
	struct learned_place place;
	uint8_t at; /* in the batch */
	uint8_t len;
};

/* True: with a CID of `len` octets the record is whole. */
static bool fits(const struct route_in *in, uint8_t len)
{
	return dtls_cid_octets(&in->view, in->data, in->len, len) != 0;
}

/* The lengths that fit, the longest first. */
static size_t ask(struct asking *asking, const struct learned *cids, uint32_t lengths, struct route_in *in, uint8_t at)
{
	size_t count = 0;

	for (uint8_t len = LEARNED_CID_MAX; len > 0; len--) {
		if (!(lengths >> len & 1) || !fits(in, len))
			continue;
		asking[count++] = (struct asking){ learned_look(cids, in->data + in->view.cid_at, len), at, len };
		if (in->learned_len == 0)
			in->learned_len = len;
	}
	return count;
}

static uint16_t at_of(const struct learned_servers *servers, uint16_t member)
{
	return member < LEARNED_MEMBERS ? servers->at[member] : SNAPSHOT_NO_BACKEND;
}

static void answer(struct batch *batch, const struct asking *asking, const struct learned_by *by)
{
	const struct learned_servers *servers = batch->settings->learned;
	const uint16_t last = at_of(servers, by->last), before = at_of(servers, by->before);
	struct route_in *in = &batch->in[asking->at];

	if (last == SNAPSHOT_NO_BACKEND && before == SNAPSHOT_NO_BACKEND)
		return;
	in->learned_len = asking->len;
	in->learned_at = last == SNAPSHOT_NO_BACKEND ? before : last;
	batch->up[asking->at].shared =
		last != SNAPSHOT_NO_BACKEND && before != SNAPSHOT_NO_BACKEND ? before : SNAPSHOT_NO_BACKEND;
}

void learned_cids_recall(struct batch *batch)
{
	const struct learned *cids = batch->settings->learned->cids;
	const uint32_t lengths = learned_lengths(cids);
	struct asking asking[IO_BATCH * LEARNED_LENGTHS];
	struct learned_by by;
	size_t asked = 0, left = 0;

	for (size_t i = 0; i < batch->count; i++) {
		struct route_in *in = &batch->in[i];

		in->learned_at = SNAPSHOT_NO_BACKEND;
		in->learned_len = 0;
		batch->up[i].shared = SNAPSHOT_NO_BACKEND;
		if (in->view.kind == DTLS_CID)
			asked += ask(&asking[asked], cids, lengths, in, (uint8_t)i);
	}
	for (size_t i = 0; i < asked; i++) {
		if (batch->in[asking[i].at].learned_at != SNAPSHOT_NO_BACKEND)
			continue;
		if (learned_find_first(cids, &asking[i].place, &by))
			answer(batch, &asking[i], &by);
		else
			asking[left++] = asking[i];
	}
	for (size_t i = 0; i < left; i++) {
		const struct route_in *in = &batch->in[asking[i].at];

		if (in->learned_at != SNAPSHOT_NO_BACKEND && in->learned_len > asking[i].len)
			continue;
		if (learned_find_second(cids, &asking[i].place, &by))
			answer(batch, &asking[i], &by);
	}
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
