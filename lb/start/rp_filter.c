#include "start/rp_filter.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "control/apply.h"
#include "control/control.h"
#include "io/netlink.h"

enum { INTERFACES = 64 /* looked at, at most */ };

bool rp_filter_mend(char out[static RP_FILTER_TEXT_OCTETS], const char *iface, uint32_t all, uint32_t own)
{
	char key[IF_NAMESIZE];
	int len = 0;

	if ((all > own ? all : own) == RP_FILTER_STRICT)
		return false;
	/* The dot of a VLAN's name is no separator. */
	snprintf(key, sizeof key, "%s", iface);
	for (char *dot; (dot = strchr(key, '.'));)
		*dot = '/';
	out[0] = '\0';
	if (all > RP_FILTER_STRICT)
		len = snprintf(out, RP_FILTER_TEXT_OCTETS, "net.ipv4.conf.all.rp_filter=1%s",
			       own > RP_FILTER_STRICT ? " " : "");
	if (own > RP_FILTER_STRICT || all < RP_FILTER_STRICT)
		snprintf(out + len, RP_FILTER_TEXT_OCTETS - (size_t)len, "net.ipv4.conf.%s.rp_filter=1", key);
	return true;
}

/* False: there is no such setting. */
static bool setting_read(uint32_t *out, const char *iface)
{
	char path[64 + IF_NAMESIZE];
	FILE *file;
	bool good;

	snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/%s/rp_filter", iface);
	file = fopen(path, "re");
	if (!file)
		return false;
	good = fscanf(file, "%" SCNu32, out) == 1;
	fclose(file);
	return good;
}

/* What is looked at. */
struct look {
	const struct conf *conf;
	struct netlink *netlink;
	uint32_t ifaces[INTERFACES]; /* on which devices come in */
	size_t count;
};

static bool has_listener(const struct conf *conf, const struct addr *addr)
{
	for (size_t i = 0; i < conf->listener_count; i++) {
		const struct addr *listener = &conf->listeners[i].addr;

		if (addr_is_v4(listener) &&
		    (addr_is_wildcard(listener) || memcmp(listener->ip, addr->ip, sizeof addr->ip) == 0))
			return true;
	}
	return false;
}

static void iface_add(void *ctx, uint32_t iface, const uint8_t ip[static 16])
{
	struct look *look = ctx;
	struct addr addr = { .port = 0 };

	memcpy(addr.ip, ip, sizeof addr.ip);
	if (!addr_is_v4(&addr) || addr_is_loopback(&addr) || !has_listener(look->conf, &addr))
		return;
	for (size_t i = 0; i < look->count; i++)
		if (look->ifaces[i] == iface)
			return;
	if (look->count < INTERFACES)
		look->ifaces[look->count++] = iface;
}

/* True if the strict filter of this interface would drop what has the address of some server. */
static bool is_of_use(const struct look *look, uint32_t iface)
{
	for (size_t i = 0; i < look->conf->pool_count; i++) {
		for (size_t j = 0; j < look->conf->pools[i].backend_count; j++) {
			const struct addr *backend = &look->conf->pools[i].backends[j].addr;
			struct netlink_route there;

			if (!addr_is_v4(backend) || addr_is_wildcard(backend))
				continue;
			there = netlink_route(look->netlink, backend->ip, NULL);
			if (!there.local && there.iface != 0 && there.iface != iface)
				return true;
		}
	}
	return false;
}

static void iface_check(const struct look *look, uint32_t iface)
{
	char name[IF_NAMESIZE], mend[RP_FILTER_TEXT_OCTETS];
	uint32_t all, own;

	netlink_name(look->netlink, iface, name);
	if (!setting_read(&all, "all") || !setting_read(&own, name) || !rp_filter_mend(mend, name, all, own) ||
	    !is_of_use(look, iface))
		return;
	log_fields(
		&(struct log_what){ LOG_LEVEL_WARNING, "rp_filter", NULL, NULL,
				    LOG_FIELDS(LOG_TEXT("interface", name), LOG_TEXT("mend", mend),
					       LOG_TEXT("reason", "datagrams there may have the address of a server "
								  "that is reached elsewhere")) },
		"datagrams that come in on %s may have the address of a server that is reached elsewhere, and answer "
		"probes in its name: sysctl -w %s",
		name, mend);
}

static void commit(void *ctx, struct apply_step *step)
{
	struct look look = { .conf = step->conf, .netlink = control_netlink(ctx) };

	if (!look.netlink || netlink_addresses(look.netlink, iface_add, &look))
		return;
	for (size_t i = 0; i < look.count; i++)
		iface_check(&look, look.ifaces[i]);
}

int rp_filter_watch(struct control *control)
{
	const struct apply_part part = { .name = "rp_filter", .commit = commit, .ctx = control };

	return apply_register(control, &part);
}
