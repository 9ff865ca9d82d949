/* What all figures are compared with: the keyed hash of an IPv4 address and port, which every decision without a CID
 * makes. It computes and reads nothing but a few cache lines, so its time follows the speed of the CPU alone. */
#include "bench/programs/core/measure.h"
#include "common/siphash.h"

enum { ADDRESSES = 64 }; /* 1,152 octets */

uint64_t yardstick_hash(void *addresses, size_t operations)
{
	static const struct siphash_key key = { 1, 2 };
	const struct addr *of = addresses;
	uint64_t sum = 0;

	for (size_t i = 0; i < operations; i++)
		sum += siphash_addr(&key, &of[i % ADDRESSES], true);
	return sum;
}

void *yardstick_addresses(void)
{
	static struct addr addresses[ADDRESSES];

	for (uint8_t i = 0; i < ADDRESSES; i++)
		addresses[i] = (struct addr){ .ip = { [10] = 0xff, [11] = 0xff, 192, 0, 2, i }, .port = 5684 };
	return addresses;
}
