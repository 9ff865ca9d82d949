/* Prints what a rendezvous table holds, for rendezvous.py, which describes the format. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rendezvous.h"

static struct rendezvous table;
static struct rendezvous_member members[RENDEZVOUS_MAX_MEMBERS];

static int read_key(struct siphash_key *out, const char *hex)
{
	uint8_t octets[16];

	if (strlen(hex) != 2 * sizeof octets)
		return -1;
	for (size_t i = 0; i < sizeof octets; i++) {
		if (sscanf(hex + 2 * i, "%2hhx", &octets[i]) != 1)
			return -1;
	}
	*out = siphash_key_load(octets);
	return 0;
}

static void print_slot(const struct siphash_key *key, uint32_t slot)
{
	uint16_t ranks[RENDEZVOUS_DEPTH] = { table.first[slot] };

	memcpy(ranks + 1, table.further[slot], sizeof table.further[slot]);
	printf("%u ", slot);
	for (size_t i = 0; i < RENDEZVOUS_DEPTH; i++)
		printf("%s%s", i ? "," : "", ranks[i] == RENDEZVOUS_NONE ? "-" : members[ranks[i]].name);
	for (size_t i = 0; i < RENDEZVOUS_DEPTH && ranks[i] != RENDEZVOUS_NONE; i++)
		printf(" %016llx", (unsigned long long)rendezvous_score(key, slot, &members[ranks[i]]));
	printf("\n");
}

int main(int argc, char **argv)
{
	struct siphash_key key;
	unsigned first, step;

	if (argc < 4 || argc - 3 > RENDEZVOUS_MAX_MEMBERS || read_key(&key, argv[1]) ||
	    sscanf(argv[2], "%u:%u", &first, &step) != 2 || !step) {
		fprintf(stderr, "usage: %s KEY FIRST:STEP NAME=WEIGHT...\n", argv[0]);
		return 2;
	}
	for (int i = 3; i < argc; i++) {
		char *weight = strrchr(argv[i], '=');
		if (!weight)
			return 2;
		*weight++ = '\0';
		members[i - 3] = (struct rendezvous_member){ argv[i], (uint16_t)strtoul(weight, NULL, 10) };
	}
	rendezvous_build(&table, &key, members, (size_t)argc - 3);
	for (uint32_t slot = first; slot < RENDEZVOUS_SLOTS; slot += step)
		print_slot(&key, slot);
	return 0;
}
