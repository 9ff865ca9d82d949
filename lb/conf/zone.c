/* Addresses of a link, which a configuration gives with the name of the interface (RFC 4007, section 11). */
#include <inttypes.h>
#include <net/if.h>
#include <string.h>

#include "conf/machine.h"
#include "conf/read.h"

/* An address of a link, with or without a port. */
static bool lacks_scope(const char *text)
{
	struct addr addr;

	return (addr_parse(&addr, text) == 0 || addr_parse_ip(&addr, text) == 0) && addr_is_of_link(addr.ip) &&
	       addr_scope(addr.ip) == 0;
}

/* Where the interface of an IP address begins. NULL: there is none, or something else has the '%'. */
static const char *find_zone(const char *text)
{
	const char *ip = text + (*text == '['), *zone = strchr(text, '%');
	char copy[ADDR_TEXT_OCTETS] = "";
	struct addr addr;

	if (!zone || (size_t)(zone - ip) >= sizeof copy)
		return NULL;
	memcpy(copy, ip, (size_t)(zone - ip));
	return addr_parse_ip(&addr, copy) == 0 ? zone : NULL;
}

bool conf_address_text(struct conf_reader *reader, struct conf_place place, const char *text,
		       char out[static ADDR_TEXT_OCTETS])
{
	const char *zone = find_zone(text), *end = zone ? zone + strcspn(zone, "]") : text;
	char quoted[CONF_QUOTE_OCTETS], name[IF_NAMESIZE] = "";
	uint32_t iface = 0;

	snprintf(out, ADDR_TEXT_OCTETS, "%s", text);
	if (!zone && !lacks_scope(text))
		return true;
	if (!zone) {
		conf_error(reader, place,
			   "%s is an address of a link; accepted: with its interface, as in fe80::1%%eth0",
			   conf_quote(quoted, text));
		return false;
	}
	if ((size_t)(end - zone) <= sizeof name)
		memcpy(name, zone + 1, (size_t)(end - zone) - 1);
	if (*name && reader->machine->iface)
		iface = reader->machine->iface(name);
	if (!iface) {
		conf_error(reader, place, "%s: this host has no such interface", conf_quote(quoted, text));
		return false;
	}
	snprintf(out, ADDR_TEXT_OCTETS, "%.*s%%%" PRIu32 "%s", (int)(zone - text), text, iface, end);
	return true;
}
