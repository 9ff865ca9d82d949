#include "embed.h"

enum { AT_CHECK = 7, AT_DEVICE = 10 /* octets */ };

struct embed embed_make(const struct addr *prefix, unsigned bits, const struct addr *service)
{
	struct embed embed = { .bits = (uint8_t)bits };

	memcpy(embed.prefix, prefix->ip, sizeof embed.prefix);
	memcpy(embed.service, service->ip + 12, 4);
	embed.service[4] = (uint8_t)(service->port >> 8);
	embed.service[5] = (uint8_t)service->port;
	return embed;
}

unsigned embed_check_bits(unsigned bits)
{
	const unsigned room = 8 * AT_DEVICE - bits;

	return room < EMBED_CHECK_MAX ? room : EMBED_CHECK_MAX;
}

/* Completes the address of a device whose six octets are already at AT_DEVICE. */
static void complete(uint8_t ip[static 16], const struct embed *embed, const struct siphash_key *key)
{
	uint8_t octets[12];
	uint32_t check;

	memcpy(octets, ip + AT_DEVICE, 6);
	memcpy(octets + 6, embed->service, 6);
	check = (uint32_t)siphash24(key, octets, sizeof octets) & ((UINT32_C(1) << embed_check_bits(embed->bits)) - 1);
	memcpy(ip, embed->prefix, AT_DEVICE);
	ip[AT_CHECK] |= (uint8_t)(check >> 16);
	ip[AT_CHECK + 1] |= (uint8_t)(check >> 8);
	ip[AT_CHECK + 2] |= (uint8_t)check;
}

void embed_write(uint8_t ip[static 16], const struct embed *embed, const struct addr *device)
{
	memcpy(ip + AT_DEVICE, device->ip + 12, 4);
	ip[AT_DEVICE + 4] = (uint8_t)(device->port >> 8);
	ip[AT_DEVICE + 5] = (uint8_t)device->port;
	complete(ip, embed, &embed->keys[0]);
}

bool embed_contains(const struct embed *embed, const uint8_t ip[static 16])
{
	const size_t whole = embed->bits / 8u;
	const uint8_t mask = (uint8_t)(0xff00u >> embed->bits % 8u);

	return memcmp(ip, embed->prefix, whole) == 0 && ((ip[whole] ^ embed->prefix[whole]) & mask) == 0;
}

/* An address is right if one of the keys would write it. */
bool embed_read(struct addr *device, const struct embed *embed, const uint8_t ip[static 16])
{
	uint8_t right[16];
	bool good = false;

	memcpy(right + AT_DEVICE, ip + AT_DEVICE, 6);
	for (size_t i = 0; i < embed->key_count; i++) {
		complete(right, embed, &embed->keys[i]);
		good |= memcmp(right, ip, sizeof right) == 0;
	}
	*device = (struct addr){ .ip = { [10] = 0xff, [11] = 0xff } };
	memcpy(device->ip + 12, ip + AT_DEVICE, 4);
	device->port = (uint16_t)(ip[AT_DEVICE + 4] << 8 | ip[AT_DEVICE + 5]);
	return good;
}
