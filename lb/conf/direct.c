/* Pools whose servers answer devices themselves: mode dsr, and mode tunnel with reply = "direct". No answer passes
 * cidlb, so it learns nothing from one. The servers have the service address, and answer from the port that they have.
 */
#include "conf/read.h"

bool conf_pool_is_direct(const struct conf_pool *pool)
{
	return pool->forward == FORWARD_DSR || (pool->forward == FORWARD_TUNNEL && pool->tunnel.reply == REPLY_DIRECT);
}

const char *conf_direct_name(const struct conf_pool *pool)
{
	return pool->forward == FORWARD_DSR ? "dsr" : "tunnel.reply = \"direct\"";
}

static void check_layout(struct conf_reader *reader, const config_setting_t *group, const struct conf_pool *pool)
{
	const config_setting_t *cid = config_setting_get_member(group, "cid");

	if (pool->protocol != POOL_DTLS || pool->layout.scheme != CID_LAYOUT_LEARNED)
		return;
	conf_error(
		reader, cid ? conf_at(cid) : (struct conf_place){ group, "cid" },
		"CIDs are learned from servers' answers, which do not pass cidlb with %s; accepted: cid = { scheme = "
		"\"node-id\"; … }, \"quic-lb\", \"hash\" or \"none\"",
		conf_direct_name(pool));
}

/* Of mode tunnel. */
static void check_listener(struct conf_reader *reader, struct conf_place place, const struct conf_listener *listener)
{
	const struct addr *local = &reader->conf->pools[listener->pool].tunnel.local;
	char text[ADDR_TEXT_OCTETS];

	if (!listener->addr.port)
		return;
	if (addr_is_wildcard(&listener->addr))
		conf_error(
			reader, place,
			"%s: with tunnel.reply = \"direct\" the servers answer from the service address, so it cannot "
			"be every address of this host; give the one that they have on lo",
			addr_format(&listener->addr, text));
	else if (addr_is_of_link(listener->addr.ip) ||
		 (addr_is_loopback(&listener->addr) && local->port && !addr_is_loopback(local)))
		conf_error(reader, place, "%s: servers cannot answer devices from it; give an address that is routed",
			   addr_format(&listener->addr, text));
}

/* Of mode tunnel: every backend answers from its own port, in the name of every listener. */
static void check_port(struct conf_reader *reader, struct conf_place place, size_t pool, uint16_t port)
{
	const struct conf *conf = reader->conf;

	for (size_t i = 0; port && i < conf->listener_count; i++) {
		const struct conf_listener *listener = &conf->listeners[i];

		if (listener->pool != pool || !listener->addr.port || listener->addr.port == port)
			continue;
		conf_error(reader, place,
			   "port %u: with tunnel.reply = \"direct\" servers answer from their own port, and devices "
			   "expect "
			   "that of listeners[%zu]; accepted: %u",
			   port, i, listener->addr.port);
		break;
	}
}

static struct conf_place place_of(const config_setting_t *list, size_t at, const char *member)
{
	const config_setting_t *group = config_setting_get_elem(list, (unsigned)at);

	return conf_at(config_setting_get_member(group, member));
}

void conf_direct_check(struct conf_reader *reader, const config_setting_t *listeners, const config_setting_t *pools)
{
	const struct conf *conf = reader->conf;

	for (size_t i = 0; i < conf->pool_count; i++) {
		const config_setting_t *group = config_setting_get_elem(pools, (unsigned)i);
		const struct conf_pool *pool = &conf->pools[i];

		if (!config_setting_is_group(group) || !conf_pool_is_direct(pool))
			continue;
		check_layout(reader, group, pool);
		for (size_t j = 0; pool->forward == FORWARD_TUNNEL && j < pool->backend_count; j++)
			check_port(reader,
				   place_of(config_setting_get_member(group, "backends"), pool->backends[j].entry,
					    "address"),
				   i, pool->backends[j].addr.port);
		for (size_t j = 0; pool->forward == FORWARD_TUNNEL && j < conf->listener_count; j++)
			if (conf->listeners[j].pool == i)
				check_listener(reader, place_of(listeners, j, "address"), &conf->listeners[j]);
	}
}
