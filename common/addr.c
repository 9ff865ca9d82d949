#include "addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum { V4_AT = 12 }; /* where a mapped IPv4 address starts in addr.ip */

bool addr_is_loopback(const struct addr *a)
{
	static const uint8_t loopback6[16] = { [15] = 1 };
	return addr_is_v4(a) ? a->ip[V4_AT] == 127 : memcmp(a->ip, loopback6, sizeof loopback6) == 0;
}

bool addr_is_wildcard(const struct addr *a)
{
	static const uint8_t none[16];
	const size_t from = addr_is_v4(a) ? V4_AT : 0;
	return memcmp(a->ip + from, none, sizeof none - from) == 0;
}

bool addr_is_unicast(const struct addr *a)
{
	static const uint8_t broadcast[4] = { 255, 255, 255, 255 };
	const uint8_t *v4 = a->ip + V4_AT;

	if (addr_is_wildcard(a))
		return false;
	return addr_is_v4(a) ? *v4 >> 4 != 0xe && memcmp(v4, broadcast, sizeof broadcast) != 0 : a->ip[0] != 0xff;
}

enum { SCOPE_AT = 4 };

uint32_t addr_scope(const uint8_t ip[static 16])
{
	uint32_t scope = 0;

	for (size_t i = 0; addr_is_of_link(ip) && i < sizeof scope; i++)
		scope = scope << 8 | ip[SCOPE_AT + i];
	return scope;
}

void addr_set_scope(uint8_t ip[static 16], uint32_t scope)
{
	for (size_t i = sizeof scope; addr_is_of_link(ip) && i-- > 0; scope >>= 8)
		ip[SCOPE_AT + i] = (uint8_t)scope;
}

bool addr_can_have_scope(const uint8_t ip[static 16])
{
	static const uint8_t link[8] = { 0xfe, 0x80 };

	return !addr_is_of_link(ip) || memcmp(ip, link, sizeof link) == 0;
}

static bool parse_v4(struct addr *out, const char *text)
{
	*out = (struct addr){ .ip = { [10] = 0xff, [11] = 0xff } };
	return inet_pton(AF_INET, text, out->ip + V4_AT) == 1;
}

/* In decimal, without leading zeros. */
static bool parse_scope(uint32_t *out, const char *text)
{
	uint64_t scope = 0;

	if (*text < '1' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9' && scope <= UINT32_MAX; text++)
		scope = scope * 10 + (uint64_t)(*text - '0');
	*out = (uint32_t)scope;
	return !*text && scope <= UINT32_MAX;
}

static bool parse_v6(struct addr *out, const char *text)
{
	const size_t len = strcspn(text, "%");
	char ip[INET6_ADDRSTRLEN];
	uint32_t scope = 0;

	*out = (struct addr){ 0 };
	if (len >= sizeof ip || (text[len] && !parse_scope(&scope, text + len + 1)))
		return false;
	memcpy(ip, text, len);
	ip[len] = '\0';
	if (inet_pton(AF_INET6, ip, out->ip) != 1 || !addr_can_have_scope(out->ip))
		return false;
	addr_set_scope(out->ip, scope);
	return scope == 0 || addr_is_of_link(out->ip);
}

/* By hand, because strtoul() also accepts signs, blanks and leading zeros. */
static bool parse_port(uint16_t *out, const char *text)
{
	unsigned port = 0;

	if (*text == '0')
		return false;
	do {
		if (*text < '0' || *text > '9')
			return false;
		port = port * 10 + (unsigned)(*text - '0');
		if (port > UINT16_MAX)
			return false;
	} while (*++text);
	*out = (uint16_t)port;
	return true;
}

int addr_parse(struct addr *out, const char *text)
{
	const bool v6 = *text == '[';
	const char *ip = text + v6;
	const char *end = strstr(text, v6 ? "]:" : ":");
	const size_t ip_len = end ? (size_t)(end - ip) : 0;
	char copy[ADDR_TEXT_OCTETS];
	uint16_t port;

	if (!end || ip_len >= sizeof copy || !parse_port(&port, end + (v6 ? 2 : 1)))
		return -EINVAL;
	memcpy(copy, ip, ip_len);
	copy[ip_len] = '\0';
	if (!(v6 ? parse_v6(out, copy) : parse_v4(out, copy)))
		return -EINVAL;
	out->port = port;
	return 0;
}

int addr_parse_ip(struct addr *out, const char *text)
{
	return parse_v4(out, text) || parse_v6(out, text) ? 0 : -EINVAL;
}

const char *addr_format(const struct addr *a, char text[static ADDR_TEXT_OCTETS])
{
	const bool v4 = addr_is_v4(a);
	const uint32_t scope = addr_scope(a->ip);
	char ip[INET6_ADDRSTRLEN + sizeof "%4294967295"] = "";
	struct addr bare = *a;

	addr_set_scope(bare.ip, 0);
	inet_ntop(v4 ? AF_INET : AF_INET6, bare.ip + (v4 ? V4_AT : 0), ip, INET6_ADDRSTRLEN);
	if (scope)
		snprintf(ip + strlen(ip), sizeof ip - strlen(ip), "%%%" PRIu32, scope);
	if (!a->port)
		snprintf(text, ADDR_TEXT_OCTETS, "%s", ip);
	else
		snprintf(text, ADDR_TEXT_OCTETS, v4 ? "%s:%u" : "[%s]:%u", ip, (unsigned)a->port);
	return text;
}
