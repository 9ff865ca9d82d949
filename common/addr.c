#include "addr.h"

#include <arpa/inet.h>
#include <errno.h>
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

static bool parse_v4(struct addr *out, const char *text)
{
	*out = (struct addr){ .ip = { [10] = 0xff, [11] = 0xff } };
	return inet_pton(AF_INET, text, out->ip + V4_AT) == 1;
}

static bool parse_v6(struct addr *out, const char *text)
{
	*out = (struct addr){ 0 };
	return inet_pton(AF_INET6, text, out->ip) == 1;
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
	char copy[INET6_ADDRSTRLEN];
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
	char ip[INET6_ADDRSTRLEN] = "";

	inet_ntop(v4 ? AF_INET : AF_INET6, a->ip + (v4 ? V4_AT : 0), ip, sizeof ip);
	if (!a->port)
		snprintf(text, ADDR_TEXT_OCTETS, "%s", ip);
	else
		snprintf(text, ADDR_TEXT_OCTETS, v4 ? "%s:%u" : "[%s]:%u", ip, (unsigned)a->port);
	return text;
}
