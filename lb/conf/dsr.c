/* Mode dsr. The server answers the device itself, from the service address, so that address and its port stay as they
 * are; and cidlb sees no answer. Most mistakes come of either. */
#include "conf/read.h"

enum { DSR_ENCAP, DSR_CID_IDLE, DSR_OPTIONS };

static const struct conf_option dsr_options[DSR_OPTIONS] = {
	[DSR_ENCAP] = { "encap", .type = CONF_WORD, .required = true,
			.words = { [ENCAP_L2] = "l2", [ENCAP_IPIP] = "ipip" } },
	[DSR_CID_IDLE] = { "cid_idle_s", .type = CONF_NUMBER, .min = 1, .max = 2000000, .fallback = 86400,
			   .unit = "s" },
};

const struct conf_section conf_section_dsr = { "pools.dsr", dsr_options, DSR_OPTIONS };

void conf_dsr_read(struct conf_reader *reader, struct conf_place group, struct conf_pool *pool)
{
	struct conf_value values[DSR_OPTIONS];

	if (group.absent) {
		conf_error(
			reader, group,
			"missing: forward = \"dsr\" needs dsr = { encap = \"l2\"; } (servers of the same segment) or "
			"\"ipip\"");
		return;
	}
	conf_read_section(reader, group, &conf_section_dsr, values);
	pool->dsr.encap = (enum conf_encap)values[DSR_ENCAP].number;
	pool->dsr.cid_idle_s = (uint32_t)values[DSR_CID_IDLE].number;
}

static int version_of(const struct addr *a)
{
	return addr_is_v4(a) ? 4 : 6;
}

/* The first listener of the pool with an address, or NULL. */
static const struct conf_listener *first_listener(const struct conf *conf, size_t pool)
{
	for (size_t i = 0; i < conf->listener_count; i++)
		if (conf->listeners[i].pool == pool && conf->listeners[i].addr.port)
			return &conf->listeners[i];
	return NULL;
}

static void check_listener(struct conf_reader *reader, struct conf_place place, size_t at)
{
	const struct conf *conf = reader->conf;
	const struct conf_listener *listener = &conf->listeners[at];
	const struct conf_listener *first = first_listener(conf, listener->pool);
	char text[ADDR_TEXT_OCTETS], other[ADDR_TEXT_OCTETS];

	if (!listener->addr.port)
		return;
	if (addr_is_wildcard(&listener->addr))
		conf_error(
			reader, place,
			"%s: with dsr the servers have the service address too, so it cannot be every address of this "
			"host; give the one that they have on lo",
			addr_format(&listener->addr, text));
	else if (addr_is_of_link(listener->addr.ip) || addr_is_loopback(&listener->addr))
		conf_error(reader, place, "%s: servers cannot answer devices from it; give an address that is routed",
			   addr_format(&listener->addr, text));
	else if (addr_is_v4(&listener->addr) != addr_is_v4(&first->addr))
		conf_error(reader, place,
			   "IPv%d, but listeners[%zu] at %s is IPv%d; a pool of mode dsr has one version: give each a "
			   "pool",
			   version_of(&listener->addr), (size_t)(first - conf->listeners),
			   addr_format(&first->addr, other), version_of(&first->addr));
}

static bool is_port_of_listener(const struct conf *conf, size_t pool, uint16_t port)
{
	for (size_t i = 0; i < conf->listener_count; i++)
		if (conf->listeners[i].pool == pool && conf->listeners[i].addr.port == port)
			return true;
	return false;
}

static bool is_address_of_listener(const struct conf *conf, const struct addr *addr)
{
	for (size_t i = 0; i < conf->listener_count; i++)
		if (memcmp(conf->listeners[i].addr.ip, addr->ip, sizeof addr->ip) == 0)
			return true;
	return false;
}

static void check_backend(struct conf_reader *reader, struct conf_place place, size_t pool,
			  const struct conf_backend *backend)
{
	const struct conf *conf = reader->conf;
	const struct conf_listener *first = first_listener(conf, pool);
	char text[ADDR_TEXT_OCTETS], service[ADDR_TEXT_OCTETS];

	if (!first || !backend->addr.port)
		return;
	if (!is_port_of_listener(conf, pool, backend->addr.port))
		conf_error(
			reader, place,
			"port %u: dsr changes no port, and devices send to that of the listener; accepted: %u. Where "
			"probes are to go elsewhere, give health.port",
			backend->addr.port, first->addr.port);
	else if (backend->host)
		return;
	else if (is_address_of_listener(conf, &backend->addr))
		conf_error(reader, place,
			   "%s has the service address, which all servers share; give the server's own address",
			   addr_format(&backend->addr, text));
	else if (addr_is_v4(&backend->addr) != addr_is_v4(&first->addr))
		conf_error(reader, place, "IPv%d, but the service address %s is IPv%d; give an IPv%d address",
			   version_of(&backend->addr), addr_format(&first->addr, service), version_of(&first->addr),
			   version_of(&first->addr));
	else if (addr_is_loopback(&backend->addr))
		conf_error(reader, place,
			   "on loopback: dsr sends frames or packets to other hosts; give an address there");
}

static struct conf_place place_of(const config_setting_t *list, size_t at, const char *member)
{
	const config_setting_t *group = config_setting_get_elem(list, (unsigned)at);

	return conf_at(config_setting_get_member(group, member));
}

void conf_dsrs_check(struct conf_reader *reader, const config_setting_t *listeners, const config_setting_t *pools)
{
	struct conf *conf = reader->conf;

	for (size_t i = 0; i < conf->listener_count; i++)
		if (conf->listeners[i].pool < conf->pool_count &&
		    conf->pools[conf->listeners[i].pool].forward == FORWARD_DSR)
			check_listener(reader, place_of(listeners, i, "address"), i);
	for (size_t i = 0; i < conf->pool_count; i++) {
		const config_setting_t *group = config_setting_get_elem(pools, (unsigned)i);
		const struct conf_listener *first = first_listener(conf, i);
		struct conf_pool *pool = &conf->pools[i];

		if (pool->forward != FORWARD_DSR || !config_setting_is_group(group))
			continue;
		pool->dsr.v6 = first && !addr_is_v4(&first->addr);
		for (size_t j = 0; j < pool->backend_count; j++)
			check_backend(reader,
				      place_of(config_setting_get_member(group, "backends"), pool->backends[j].entry,
					       "address"),
				      i, &pool->backends[j]);
	}
}
