#include "conf/prefix.h"

#include <errno.h>
#include <string.h>

unsigned prefix_family_bits(const struct addr *a)
{
	return addr_is_v4(a) ? 32 : 128;
}

struct addr prefix_first(const struct addr *a, unsigned bits)
{
	struct addr first = *a;

	first.port = 0;
	for (unsigned i = 128 - prefix_family_bits(a) + bits; i < 128; i++)
		first.ip[i / 8] &= (uint8_t) ~(0x80u >> i % 8);
	return first;
}

bool prefix_contains(const struct conf_prefix *prefix, const struct addr *a)
{
	const struct addr first = prefix_first(a, prefix->bits);

	return addr_is_v4(a) == addr_is_v4(&prefix->addr) && addr_equal(&first, &prefix->addr);
}

int prefix_parse_number(const char **text, unsigned max, unsigned *out)
{
	*out = 0;
	if (**text < '1' || **text > '9')
		return -EINVAL;
	for (; **text >= '0' && **text <= '9'; ++*text)
		if ((*out = *out * 10 + (unsigned)(**text - '0')) > max)
			return -EINVAL;
	return 0;
}

int prefix_parse(struct conf_prefix *out, const char *text)
{
	char ip[ADDR_TEXT_OCTETS];
	const char *slash = strchr(text, '/'), *at;
	unsigned bits;

	if (!slash || slash - text >= (ptrdiff_t)sizeof ip)
		return -EINVAL;
	memcpy(ip, text, (size_t)(slash - text));
	ip[slash - text] = '\0';
	at = slash + 1;
	if (addr_parse_ip(&out->addr, ip) < 0 || prefix_parse_number(&at, 128, &bits) < 0 || *at)
		return -EINVAL;
	out->bits = (uint8_t)bits;
	return 0;
}
