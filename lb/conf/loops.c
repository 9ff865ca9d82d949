/* Backends whose address is cidlb's own: what is sent there comes back as if from a device. Rule 0 of common/route.h
 * stops such a loop at its first datagram; here it is seen before. */
#include <string.h>

#include "conf/machine.h"
#include "conf/prefix.h"
#include "conf/read.h"

enum { WORDS_OCTETS = 160 };

static bool listens_at(const struct conf_listener *listener, const struct addr *addr,
		       const struct conf_machine *machine)
{
	if (listener->addr.port != addr->port)
		return false;
	if (!addr_is_wildcard(&listener->addr))
		return addr_equal(&listener->addr, addr);
	return addr_is_v4(&listener->addr) == addr_is_v4(addr) && machine->is_here(addr);
}

/* Each worker has a port, and the probes have the one after these. */
static bool sends_from(const struct conf *conf, const struct conf_tunnel *tunnel, const struct addr *addr)
{
	struct addr first = tunnel->local;

	if (!first.port || addr->port < first.port || addr->port > first.port + conf->workers)
		return false;
	first.port = addr->port;
	return addr_equal(&first, addr);
}

static const struct conf_prefix *prefix_around(const struct conf_nat *nat, const struct addr *addr)
{
	for (size_t i = 0; !nat->single && i < nat->source_count; i++)
		if (prefix_contains(&nat->sources[i], addr))
			return &nat->sources[i];
	return NULL;
}

/* Of single addresses, the ports are cidlb's as sessions need them. A server may have one, if it comes first. */
static bool may_send_from(const struct conf_nat *nat, const struct addr *addr)
{
	for (size_t i = 0; nat->single && i < nat->source_count; i++)
		if (memcmp(nat->sources[i].addr.ip, addr->ip, sizeof addr->ip) == 0)
			return addr->port >= nat->port_first && addr->port <= nat->port_last;
	return false;
}

static void check_ports(struct conf_reader *reader, struct conf_place place, const struct addr *addr)
{
	const struct conf *conf = reader->conf;
	char text[ADDR_TEXT_OCTETS];

	for (size_t i = 0; i < conf->pool_count; i++)
		if (reader->nat_said[i].sources_known && reader->nat_said[i].ports_known &&
		    may_send_from(&conf->pools[i].nat, addr))
			conf_advise(reader, place,
				    "%s is in %u-%u of pools[%zu].nat.ports, and its address in the sources: cidlb may "
				    "have "
				    "the port before the server",
				    addr_format(addr, text), conf->pools[i].nat.port_first,
				    conf->pools[i].nat.port_last, i);
}

/* Writes what of cidlb's own the address is. False: nothing. */
static bool find_own(char out[static WORDS_OCTETS], const struct conf_reader *reader, const struct addr *addr,
		     const struct conf_machine *machine)
{
	const struct conf *conf = reader->conf;
	const struct conf_prefix *prefix;
	char text[ADDR_TEXT_OCTETS];

	for (size_t i = 0; i < conf->listener_count; i++)
		if (listens_at(&conf->listeners[i], addr, machine)) {
			snprintf(out, WORDS_OCTETS, "the address of listeners[%zu]", i);
			return true;
		}
	for (size_t i = 0; i < conf->pool_count; i++) {
		if (sends_from(conf, &conf->pools[i].tunnel, addr)) {
			snprintf(out, WORDS_OCTETS, "an address that pools[%zu].tunnel sends from", i);
			return true;
		}
		prefix = prefix_around(&conf->pools[i].nat, addr);
		if (prefix && reader->nat_said[i].sources_known) {
			snprintf(out, WORDS_OCTETS, "in %s/%u of pools[%zu].nat.sources",
				 addr_format(&prefix->addr, text), prefix->bits, i);
			return true;
		}
	}
	return false;
}

static struct conf_place place_of(const config_setting_t *pools, size_t pool, size_t entry)
{
	const config_setting_t *group = config_setting_get_elem(pools, (unsigned)pool);
	const config_setting_t *list = config_setting_get_member(group, "backends");
	const config_setting_t *backend = config_setting_get_elem(list, (unsigned)entry);

	return conf_at(config_setting_get_member(backend, "address"));
}

void conf_loops_check(struct conf_reader *reader, const config_setting_t *pools, const struct conf_machine *machine)
{
	const struct conf *conf = reader->conf;
	char text[ADDR_TEXT_OCTETS], words[WORDS_OCTETS];

	for (size_t i = 0; i < conf->pool_count; i++)
		for (size_t j = 0; j < conf->pools[i].backend_count; j++) {
			const struct conf_backend *backend = &conf->pools[i].backends[j];

			const struct conf_place place = place_of(pools, i, backend->entry);

			if (!conf_backend_has_address(backend))
				continue;
			if (find_own(words, reader, &backend->addr, machine))
				conf_error(reader, place, "%s is %s: a loop; accepted: the address of a server",
					   addr_format(&backend->addr, text), words);
			else
				check_ports(reader, place, &backend->addr);
		}
}
