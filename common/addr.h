/* An IPv4 or IPv6 address with a UDP port. This form is used everywhere.
 *
 * IPv4 addresses are held as ::ffff:a.b.c.d (RFC 4291, section 2.5.5.2). So one comparison tests for equality, and a
 * table needs only one kind of key.
 *
 * An IPv6 address may be of a link: fe80::/10, of which all but fe80::/64 is reserved (RFC 4291, section 2.5.6). It
 * means nothing without its scope, the number of the interface that leads there. The scope is held in octets 4 to 7,
 * which are 0 on the wire. So whatever copies, compares or hashes addresses keeps links apart, and needs no more room.
 * Only where an address goes to the kernel or comes from it the two are taken apart.
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

/* True if it is the address of one host, which can answer. False for the wildcard, for multicast (224.0.0.0/4,
 * ff00::/8) and for 255.255.255.255. */
bool addr_is_unicast(const struct addr *a);

/* fe80::/10. */
static inline bool addr_is_of_link(const uint8_t ip[static 16])
{
	return ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80;
}

/* The scope of an address of a link. 0: it is none, or its scope is not known. */
uint32_t addr_scope(const uint8_t ip[static 16]);

/* Makes the address be of that scope; 0 gives it as it is on the wire. Others stay as they are. */
void addr_set_scope(uint8_t ip[static 16], uint32_t scope);

/* True if all octets that RFC 4291 wants to be 0 are: what comes from the wire can have a scope, or needs none. */
bool addr_can_have_scope(const uint8_t ip[static 16]);

/* Reads the whole text as "A.B.C.D:PORT" or "[V6]:PORT", with a port of 1..65535. V6 of a link may end with its scope,
 * as in fe80::1%3. -EINVAL: anything else. */
int addr_parse(struct addr *out, const char *text);

/* Reads an IP address without a port; the port becomes 0. -EINVAL: anything else. */
int addr_parse_ip(struct addr *out, const char *text);

/* Writes the form that addr_parse() reads, without the port if it is 0. Returns `text`. */
const char *addr_format(const struct addr *a, char text[static ADDR_TEXT_OCTETS]);

#endif
