#include "path/resumed.h"

#include "common/route.h"
#include "path/learned_cids.h"
#include "path/table.h"

/* The name of an entry in the table. */
struct name {
	uint8_t octets[RESUMED_ADDRESS_OCTETS], len;
};

static struct name name_make(uint64_t hash, uint8_t len)
{
	struct name name = { .len = len };

	for (size_t i = 0; i < sizeof hash; i++)
		name.octets[i] = (uint8_t)(hash >> 8 * i);
	return name;
}

static struct name name_of_address(const struct table_pool *settings, const struct addr *source)
{
	return name_make(siphash_addr(&settings->session_key, source, true), RESUMED_ADDRESS_OCTETS);
}

static bool has(const struct table_pool *settings, uint8_t len)
{
	return settings->sessions && learned_lengths(settings->sessions->cids) >> len & 1;
}

static uint16_t uid_of(const struct table_pool *settings, const struct snapshot_pool *pool, uint16_t member)
{
	const uint16_t at = member < LEARNED_MEMBERS ? settings->sessions->at[member] : SNAPSHOT_NO_BACKEND;

	return at == SNAPSHOT_NO_BACKEND ? ROUTE_NO_HINT : pool->backends[at].uid;
}

uint16_t resumed_find(const struct table_pool *settings, const struct snapshot_pool *pool,
		      const struct learned_place *place)
{
	struct learned_by by;
	uint16_t backend;

	if (!learned_find(settings->sessions->cids, place, &by))
		return ROUTE_NO_HINT;
	backend = uid_of(settings, pool, by.last);
	return backend == ROUTE_NO_HINT ? uid_of(settings, pool, by.before) : backend;
}

static uint16_t find(const struct table_pool *settings, const struct snapshot_pool *pool, uint64_t hash)
{
	const struct name name = name_make(hash, RESUMED_SESSION_OCTETS);
	const struct learned_place place = learned_look(settings->sessions->cids, name.octets, name.len);

	return hash ? resumed_find(settings, pool, &place) : ROUTE_NO_HINT;
}

/* With a ticket a server takes no notice of the session id (RFC 5077, section 3.4). */
uint16_t resumed_offer(const struct table_pool *settings, const struct snapshot_pool *pool, const uint8_t *data,
		       size_t len)
{
	struct resume_names offer;
	uint16_t backend;

	if (!has(settings, RESUMED_SESSION_OCTETS) || !resume_read_offer(&offer, &settings->session_key, data, len))
		return ROUTE_NO_HINT;
	backend = find(settings, pool, offer.ticket);
	return backend == ROUTE_NO_HINT ? find(settings, pool, offer.session_id) : backend;
}

bool resumed_has_addresses(const struct table_pool *settings)
{
	return has(settings, RESUMED_ADDRESS_OCTETS);
}

struct learned_place resumed_look(const struct table_pool *settings, const struct addr *source)
{
	const struct name name = name_of_address(settings, source);

	return learned_look(settings->sessions->cids, name.octets, name.len);
}

static void add(const struct resumed_session *session, const struct name *name)
{
	learned_cids_add(session->settings->sessions, session->pool, session->backend, name->octets, name->len);
}

/* True: without an entry the address would not lead to the backend, or it has one that leads elsewhere. */
static bool is_exception(const struct resumed_session *session)
{
	const struct snapshot_pool *pool = session->pool;
	const uint64_t hash = siphash_addr(&pool->hash_key, session->source, pool->affinity == AFFINITY_ADDRESS_PORT);
	const uint16_t home = snapshot_backend_of_hash(pool, hash);
	struct learned_place place;

	if (home == SNAPSHOT_NO_BACKEND || pool->backends[home].uid != session->backend)
		return true;
	if (!resumed_has_addresses(session->settings))
		return false;
	place = resumed_look(session->settings, session->source);
	return resumed_find(session->settings, pool, &place) != ROUTE_NO_HINT;
}

static bool drains(const struct resumed_session *session)
{
	const uint16_t at = snapshot_backend_of_uid(session->pool, session->backend);

	return at != SNAPSHOT_NO_BACKEND && session->pool->cid_verdict[at] == VERDICT_CID_DRAINING;
}

void resumed_learn(const struct resumed_session *session)
{
	const uint64_t given[] = { session->given.session_id, session->given.ticket };
	struct name name;

	if (!session->settings->sessions)
		return;
	for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
		name = name_make(given[i], RESUMED_SESSION_OCTETS);
		if (given[i] && !drains(session))
			add(session, &name);
	}
	if (is_exception(session)) {
		name = name_of_address(session->settings, session->source);
		add(session, &name);
	}
}
