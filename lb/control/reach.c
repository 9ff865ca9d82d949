#include "control/reach.h"

#include <errno.h>
#include <string.h>

#include <event2/event.h>

#include "base/log.h"
#include "control/state.h"

enum {
	WAIT_MS = 50,        /* changes come several at a time */
	BACKENDS_PER_MS = 8, /* a question takes some 5 us: this leaves 24 parts of 25 to other things */
};

/* Where the backends of a pool answer to, of the family of `backend`. */
static const struct addr *endpoint_of(const struct conf_pool *pool, const struct addr *backend)
{
	if (pool->forward == FORWARD_TUNNEL)
		return &pool->tunnel.local;
	for (size_t i = 0; i < pool->nat.source_count; i++)
		if (addr_is_v4(&pool->nat.sources[i].addr) == addr_is_v4(backend))
			return &pool->nat.sources[i].addr;
	return NULL;
}

static uint32_t iface_of(struct netlink *netlink, const struct conf_pool *pool, const struct addr *backend)
{
	const struct addr *endpoint = endpoint_of(pool, backend);
	struct netlink_route there;

	if (!endpoint)
		return 0;
	there = netlink_route(netlink, backend->ip, endpoint->ip);
	return there.local ? netlink_route(netlink, endpoint->ip, NULL).iface : there.iface;
}

void reach_forget(struct control *control)
{
	control->reach.generation++;
}

bool reach_find(struct control *control, const struct conf *conf, struct table_spec *spec)
{
	struct reach *reach = &control->reach;
	struct snapshot_backend *backend = spec->backends;
	bool news = false;

	for (size_t i = 0; reach->netlink && i < spec->pool_count; i++) {
		for (size_t j = 0; j < spec->pools[i].backend_count; j++, backend++) {
			struct reach_known *known = &control->backends[backend->uid].reach;

			if (known->generation != reach->generation ||
			    memcmp(known->ip, backend->addr.ip, sizeof known->ip) != 0) {
				memcpy(known->ip, backend->addr.ip, sizeof known->ip);
				known->generation = reach->generation;
				known->iface = iface_of(reach->netlink, &conf->pools[i], &backend->addr);
			}
			news |= backend->iface != known->iface;
			backend->iface = known->iface;
		}
	}
	return news;
}

static bool is_news(struct control *control)
{
	const struct snapshot_backend *backend = control->spec.backends;

	for (size_t i = 0; i < control->spec.pool_count; i++)
		for (size_t j = 0; j < control->spec.pools[i].backend_count; j++, backend++)
			if (iface_of(control->reach.netlink, &control->conf->pools[i], &backend->addr) !=
			    backend->iface)
				return true;
	return false;
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct control *control = ctx;

	(void)fd;
	(void)what;
	reach_forget(control);
	if (is_news(control))
		settle_mark(control, SETTLE_TABLE);
}

static void on_changed(evutil_socket_t fd, short what, void *ctx)
{
	struct control *control = ctx;
	const size_t wait_ms = WAIT_MS + control->spec.backend_count / BACKENDS_PER_MS;
	const struct timeval wait = { (time_t)(wait_ms / 1000), (suseconds_t)(wait_ms % 1000 * 1000) };

	(void)fd;
	(void)what;
	(void)netlink_read_changes(control->reach.netlink);
	if (!evtimer_pending(control->reach.timer, NULL))
		(void)evtimer_add(control->reach.timer, &wait);
}

int reach_open(struct control *control)
{
	struct reach *reach = &control->reach;
	int err = netlink_open(&reach->netlink);

	if (err) {
		reach->netlink = NULL;
		log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "wrong_interface", NULL, NULL,
					       LOG_FIELDS(LOG_TEXT("error", strerror(-err)),
							  LOG_TEXT("reason", "replies count from any interface")) },
			   "the kernel does not tell its routes, so replies count from any interface: %s",
			   strerror(-err));
		return 0;
	}
	reach->generation = 1;
	reach->timer = evtimer_new(control->base, on_timer, control);
	reach->changed =
		event_new(control->base, netlink_changes(reach->netlink), EV_READ | EV_PERSIST, on_changed, control);
	if (!reach->timer || !reach->changed || event_add(reach->changed, NULL) < 0)
		return -ENOMEM;
	return 0;
}

void reach_close(struct control *control)
{
	struct reach *reach = &control->reach;

	if (reach->changed)
		event_free(reach->changed);
	if (reach->timer)
		event_free(reach->timer);
	netlink_close(reach->netlink);
}
