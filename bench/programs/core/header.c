/* The header of mode tunnel: what it costs to write and to read one, in both versions of the tag. */
#include <stdlib.h>

#include "bench/programs/core/groups.h"
#include "common/proxy2_memo.h"

enum { DEVICES = 1024 /* a power of two */ };

enum what { WRITES, READS };

struct header {
	struct proxy2_keys keys;
	struct proxy2_memo memo;
	struct proxy2_ends ends[DEVICES];
	uint8_t written[DEVICES][PROXY2_MAX_OCTETS];
	size_t octets;
};

static uint64_t write_all(void *ctx, size_t operations)
{
	struct header *of = ctx;
	const struct proxy2_party party = { &of->keys, PROXY2_UP, &of->memo };
	uint64_t sum = 0;

	for (size_t i = 0; i < operations; i++) {
		uint8_t out[PROXY2_MAX_OCTETS];

		sum += proxy2_party_write(out, &party, &of->ends[i % DEVICES]);
		sum += out[of->octets - 1];
	}
	return sum;
}

static uint64_t read_all(void *ctx, size_t operations)
{
	struct header *of = ctx;
	const struct proxy2_party party = { &of->keys, PROXY2_UP, &of->memo };
	uint64_t sum = 0;

	for (size_t i = 0; i < operations; i++) {
		struct proxy2_ends ends;
		size_t octets;

		sum += proxy2_party_read(&ends, &octets, &party, of->written[i % DEVICES], of->octets);
		sum += ends.source.port;
	}
	return sum;
}

/* `octets` of a case: of its header. */
static void header_case(const struct core_case *this, enum measure_effort effort)
{
	struct header *of = measure_alloc(1, sizeof *of);
	const bool v4 = this->octets < PROXY2_V6_OCTETS;
	const uint8_t version = this->of & 1 ? PROXY2_V2 : PROXY2_V1;

	of->keys = (struct proxy2_keys){ { { 1, { 2, 3 } } }, 1 };
	for (size_t i = 0; i < DEVICES; i++) {
		struct addr device = { { 0x20, 0x01, 0x0d, 0xb8, [14] = (uint8_t)(i >> 8), (uint8_t)i }, 5684 };
		struct addr service = { { 0x20, 0x01, 0x0d, 0xb8, [15] = 7 }, 5684 };

		if (v4) {
			memcpy(device.ip, (uint8_t[12]){ [10] = 0xff, 0xff }, 12);
			memcpy(service.ip, (uint8_t[12]){ [10] = 0xff, 0xff }, 12);
		}
		of->ends[i] = (struct proxy2_ends){ device, service, 0, version };
		of->octets = proxy2_write(of->written[i], &of->keys, PROXY2_UP, &of->ends[i]);
	}
	measure_require(of->octets == this->octets, this->name);
	measure(this, effort, DEVICES, this->of >> 1 == WRITES ? write_all : read_all, of);
	free(of);
}

static const struct core_case cases[] = {
	{ "header/write-1", header_case, WRITES << 1, .octets = PROXY2_V4_OCTETS },
	{ "header/write-2", header_case, WRITES << 1 | 1, .octets = PROXY2_V4_OCTETS },
	{ "header/read-1", header_case, READS << 1, .octets = PROXY2_V4_OCTETS },
	{ "header/read-2", header_case, READS << 1 | 1, .octets = PROXY2_V4_OCTETS },
	{ "header/write-1-ipv6", header_case, WRITES << 1, .octets = PROXY2_V6_OCTETS },
	{ "header/write-2-ipv6", header_case, WRITES << 1 | 1, .octets = PROXY2_V6_OCTETS },
	{ "header/read-1-ipv6", header_case, READS << 1, .octets = PROXY2_V6_OCTETS },
	{ "header/read-2-ipv6", header_case, READS << 1 | 1, .octets = PROXY2_V6_OCTETS },
};

const struct core_group core_header = { cases, sizeof cases / sizeof *cases };
