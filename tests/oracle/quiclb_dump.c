/* Mints and opens as lbcid does, for quiclb.py, which describes the format. */
#include <stdio.h>
#include <string.h>

#include "common/lbcid.h"

static size_t read_hex(uint8_t *out, size_t room, const char *hex)
{
	size_t len = 0;

	while (len < room && sscanf(hex + 2 * len, "%2hhx", &out[len]) == 1)
		len++;
	return len;
}

static int take_nonce(void *ctx, uint8_t *out, size_t len)
{
	memcpy(out, ctx, len);
	return 0;
}

static void print_hex(const uint8_t *octets, size_t len)
{
	for (size_t i = 0; i < len; i++)
		printf("%02x", octets[i]);
	printf("\n");
}

int main(void)
{
	char verb[8], key_hex[40], id_hex[40], rest_hex[48];
	unsigned rotation;

	while (scanf("%7s %39s %u %39s %47s", verb, key_hex, &rotation, id_hex, rest_hex) == 5) {
		uint8_t key[LBCID_KEY_OCTETS], id[LBCID_MAX_OCTETS], rest[LBCID_MAX_OCTETS], cid[LBCID_MAX_OCTETS];
		const size_t id_octets = read_hex(id, sizeof id, id_hex),
			     rest_octets = read_hex(rest, sizeof rest, rest_hex);
		const int mints = strcmp(verb, "mint") == 0;
		struct lbcid_key *expanded =
			read_hex(key, sizeof key, key_hex) == sizeof key ? lbcid_key_new(key) : NULL;
		const struct lbcid_config config = {
			.scheme = LBCID_QUIC_LB,
			.length = (uint8_t)(mints ? 1 + id_octets + rest_octets : rest_octets),
			.size = (uint8_t)id_octets,
			.rotation = (uint8_t)rotation,
			.key = expanded,
		};
		const int err = mints ? lbcid_mint(&config, id, take_nonce, rest, cid)
				      : lbcid_open(&config, rest, rest_octets, id);

		lbcid_key_free(expanded);
		if (err)
			return 1;
		print_hex(mints ? cid : id, mints ? config.length : id_octets);
	}
	return 0;
}
