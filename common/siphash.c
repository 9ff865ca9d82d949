#include "siphash.h"

#include "bytes.h"
#include "siphash_rounds.h"

struct siphash_key siphash_key_load(const uint8_t octets[static 16])
{
	return (struct siphash_key){ bytes_le64(octets, 8), bytes_le64(octets + 8, 8) };
}

uint64_t siphash24(const struct siphash_key *key, const void *data, size_t len)
{
	struct siphash_state s = siphash_begin(key->k0, key->k1);
	const size_t tail = len % 8;
	const uint8_t *last = (const uint8_t *)data + (len - tail);

	for (const uint8_t *at = data; at != last; at += 8)
		siphash_absorb(&s, bytes_le64(at, 8));
	return siphash_end(&s, bytes_le64(last, tail), len);
}

/* Hashes the label without and with its NUL. No label holds a NUL, so no two labels share a message. */
struct siphash_key siphash_key_derive(const struct siphash_key *key, const char *label)
{
	const size_t len = strlen(label);
	return (struct siphash_key){ siphash24(key, label, len), siphash24(key, label, len + 1) };
}

/* Like siphash24() of the octets, without writing them anywhere first. */
uint64_t siphash_addr(const struct siphash_key *key, const struct addr *a, bool with_port)
{
	const uint64_t port = with_port ? (uint64_t)(a->port >> 8 | (a->port & 0xff) << 8) : 0;
	const size_t port_octets = with_port ? sizeof a->port : 0;
	struct siphash_state s = siphash_begin(key->k0, key->k1);

	if (addr_is_v4(a))
		return siphash_end(&s, bytes_le32(a->ip + 12) | port << 32, 4 + port_octets);
	siphash_absorb(&s, bytes_le64(a->ip, 8));
	siphash_absorb(&s, bytes_le64(a->ip + 8, 8));
	return siphash_end(&s, port, 16 + port_octets);
}
