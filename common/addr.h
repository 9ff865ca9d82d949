/* An IPv4 or IPv6 address with a UDP port: the one form used everywhere.
 *
 * IPv4 is held as ::ffff:a.b.c.d (RFC 4291, section 2.5.5.2), so that equality is one comparison and a table needs one
 * key.
 */
#ifndef CIDLB_ADDR_H
#define CIDLB_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct addr {
	uint8_t ip[16]; /* network order; IPv4 is v4-mapped */
	uint16_t port;  /* host order */
};
_Static_assert(sizeof(struct addr) == 18, "compared and hashed as octets: no padding");

/* "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535" and the final NUL. */
#define ADDR_TEXT_OCTETS 56

static inline bool addr_equal(const struct addr *a, const struct addr *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

static inline bool addr_is_v4(const struct addr *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	return memcmp(a->ip, mapped, sizeof mapped) == 0;
}

/* 127.0.0.0/8 or ::1. */
bool addr_is_loopback(const struct addr *a);

/* 0.0.0.0 or ::. */
bool addr_is_wildcard(const struct addr *a);

/* Of one host, which can answer: not the wildcard, nor a group (224.0.0.0/4, ff00::/8), nor 255.255.255.255. */
bool addr_is_unicast(const struct addr *a);

/* Reads "A.B.C.D:PORT" or "[V6]:PORT", whole. -EINVAL: anything else; the port is 1..65535. */
int addr_parse(struct addr *out, const char *text);

/* Reads an IP address without a port (the port becomes 0). -EINVAL: anything else. */
int addr_parse_ip(struct addr *out, const char *text);

/* Writes the form addr_parse() reads (without the port if it is 0) and returns `text`. */
const char *addr_format(const struct addr *a, char text[static ADDR_TEXT_OCTETS]);

#endif
