#include "health/target.h"

#include <string.h>

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_question(const struct conf_health *a, const struct conf_health *b)
{
	return a->probe == b->probe && a->port == b->port && same_text(a->path, b->path) &&
	       same_text(a->psk_identity, b->psk_identity) && a->psk_key_len == b->psk_key_len &&
	       memcmp(a->psk_key, b->psk_key, a->psk_key_len) == 0;
}

static bool same_tunnel(const struct health_tunnel *a, const struct health_tunnel *b)
{
	return (a->keys.count > 0) == (b->keys.count > 0) && addr_equal(&a->local, &b->local) &&
	       addr_equal(&a->service, &b->service);
}

/* What else is in it changes with routes and neighbours. */
static bool same_encap(const struct health_encap *a, const struct health_encap *b)
{
	return addr_equal(&a->service, &b->service) && a->bare == b->bare;
}

static bool same_sources(const struct endpoint_space *a, const struct endpoint_space *b)
{
	if (a->prefix_count != b->prefix_count || a->port_first != b->port_first || a->port_last != b->port_last)
		return false;
	for (size_t i = 0; i < a->prefix_count; i++)
		if (!addr_equal(&a->prefixes[i].first, &b->prefixes[i].first) ||
		    a->prefixes[i].host_bits != b->prefixes[i].host_bits)
			return false;
	return true;
}

bool target_is_same(const struct health_target *a, const struct health_target *b)
{
	return a->uid == b->uid && addr_equal(&a->addr, &b->addr) && same_question(&a->how, &b->how) &&
	       same_sources(&a->sources, &b->sources) && same_tunnel(&a->tunnel, &b->tunnel) &&
	       same_encap(&a->encap, &b->encap) && a->how.interval_ms == b->how.interval_ms &&
	       a->how.timeout_ms == b->how.timeout_ms && a->how.fall == b->how.fall;
}
