/* The group `fast`: on which interfaces the kernel does for most datagrams what the packet path does (xdp/). */
#include <string.h>

#include "conf/read.h"

enum { FAST_INTERFACE_NAMES, FAST_ATTACH, FAST_LINGER, FAST_OPTIONS };

static const struct conf_option fast_options[FAST_OPTIONS] = {
	[FAST_INTERFACE_NAMES] = { "interfaces", .type = CONF_LIST, .required = true },
	[FAST_ATTACH] = { "attach", .type = CONF_WORD,
			  .words = { [ATTACH_AUTO] = "auto",
				     [ATTACH_NATIVE] = "native",
				     [ATTACH_GENERIC] = "generic" } },
	[FAST_LINGER] = { "linger_s", .type = CONF_NUMBER, .min = 0, .max = 3600, .fallback = 60, .unit = "s" },
};

const struct conf_section conf_section_fast = { "fast", fast_options, FAST_OPTIONS };

/* False (reported): it is no name of an interface of this host. */
static bool check_interface(struct conf_reader *reader, const config_setting_t *setting, const char *name)
{
	const struct conf_fast *fast = &reader->conf->fast;
	char quoted[CONF_QUOTE_OCTETS];

	if (!name) {
		conf_error(reader, conf_at(setting), "not the name of an interface, as in `ip link`");
		return false;
	}
	if (strlen(name) >= IF_NAMESIZE || !reader->machine->iface || reader->machine->iface(name) == 0) {
		conf_error(reader, conf_at(setting), "%s: this host has no such interface; `ip link` lists them",
			   conf_quote(quoted, name));
		return false;
	}
	for (size_t i = 0; i < fast->interface_count; i++) {
		if (strcmp(fast->interfaces[i], name) != 0)
			continue;
		conf_error(reader, conf_at(setting), "%s is there twice", conf_quote(quoted, name));
		return false;
	}
	return true;
}

/* As far as the file tells: with rebind = "backend" it goes by the sources. */
static bool gains(const struct conf_pool *pool)
{
	if (pool->only_sockets || pool->protocol != POOL_DTLS)
		return false;
	if (pool->forward == FORWARD_NAT)
		return pool->nat.rebind == REBIND_BACKEND;
	return pool->forward == FORWARD_DSR || pool->tunnel.reply != REPLY_DIRECT;
}

static void check_pools(struct conf_reader *reader, struct conf_place place)
{
	const struct conf *conf = reader->conf;
	bool any = conf->pool_count == 0;

	for (size_t i = 0; i < conf->pool_count; i++)
		any |= gains(&conf->pools[i]);
	if (!any)
		conf_advise(reader, place,
			    "it will only drop what is not DTLS: mode nat with rebind = \"follow\", tunnel.reply = "
			    "\"direct\", protocol = \"udp\" and fast = false leave all else to the sockets");
}

void conf_fast_read(struct conf_reader *reader, const struct conf_value *fast)
{
	struct conf_value values[FAST_OPTIONS];
	struct conf_fast *to = &reader->conf->fast;
	size_t count;

	if (fast->found != CONF_GOOD)
		return;
	if (!reader->machine->has_fast) {
		conf_error(
			reader, fast->place,
			"this cidlb was built without the fast path (clang 14 and libbpf 1.1 were not there); remove "
			"the group, or build it with them");
		return;
	}
	conf_read_section(reader, fast->place, &conf_section_fast, values);
	to->attach = (enum conf_attach)values[FAST_ATTACH].number;
	to->linger_s = (uint32_t)values[FAST_LINGER].number;
	count = conf_read_count(reader, &values[FAST_INTERFACE_NAMES], CONF_MAX_INTERFACES);
	for (size_t i = 0; i < count; i++) {
		const config_setting_t *setting =
			config_setting_get_elem(values[FAST_INTERFACE_NAMES].place.setting, (unsigned)i);
		const char *name = conf_text_of(reader, setting);

		if (check_interface(reader, setting, name))
			strcpy(to->interfaces[to->interface_count++], name);
	}
	check_pools(reader, fast->place);
}
