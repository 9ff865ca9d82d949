#include "bad_sources.h"

#include <stdlib.h>
#include <string.h>

enum { V4_AT = 12, V4_BITS_BEFORE = 8 * V4_AT };

struct mask {
	uint64_t value[2], mask[2]; /* of the address */
	uint16_t port;              /* 0: any */
	uint8_t bits;               /* of the address family */
};

struct bad_sources {
	struct bad_marks marks;
	struct mask *masks;
	size_t mask_count;
	struct bad_single *singles;
	size_t single_count;
	struct addr *rows; /* a pair is in the row of its hash, or in the next free row behind it; port 0: free */
	size_t row_mask;   /* rows - 1 */
};

/* Port 0, and what 0.0.0.0 and ::, 224.0.0.0/4, 255.255.255.255 and ff00::/8 begin with. */
const struct bad_marks bad_marks_always = {
	.begins = {
		[BAD_BEGIN_V4] = true,
		[BAD_BEGIN_V4 + 224] = true, true, true, true, true, true, true, true,
		[BAD_BEGIN_V4 + 232] = true, true, true, true, true, true, true, true,
		[BAD_BEGIN_V4 + 255] = true,
		[BAD_BEGIN_V6 + 255] = true,
	},
	.ports = { 1 },
};

static void mark_port(struct bad_marks *marks, uint16_t port)
{
	marks->ports[port / 64] |= UINT64_C(1) << port % 64;
}

static struct mask mask_of(const struct bad_prefix *prefix)
{
	const size_t bits = prefix->bits + (addr_is_v4(&prefix->addr) ? (size_t)V4_BITS_BEFORE : 0);
	uint8_t octets[16];
	struct mask mask = { .port = prefix->addr.port, .bits = prefix->bits };

	for (size_t i = 0; i < sizeof octets; i++) {
		const size_t left = bits > 8 * i ? bits - 8 * i : 0;

		octets[i] = (uint8_t)(0xff00 >> (left < 8 ? left : 8));
	}
	memcpy(mask.mask, octets, sizeof octets);
	memcpy(mask.value, prefix->addr.ip, sizeof mask.value);
	mask.value[0] &= mask.mask[0];
	mask.value[1] &= mask.mask[1];
	return mask;
}

/* A light hash. Nobody outside puts pairs into the table, so made-up sources can only miss. */
static size_t row_of(const struct bad_sources *sources, const struct addr *pair)
{
	uint64_t words[2], hash;

	memcpy(words, pair->ip, sizeof words);
	hash = (words[0] ^ pair->port) * 0xbf58476d1ce4e5b9 ^ words[1] * 0x94d049bb133111eb;
	return (hash ^ hash >> 32) * 0xbf58476d1ce4e5b9 >> 32 & sources->row_mask;
}

static bool has_pair(const struct bad_sources *sources, const struct addr *pair)
{
	for (size_t row = row_of(sources, pair); sources->rows[row].port; row = (row + 1) & sources->row_mask)
		if (addr_equal(&sources->rows[row], pair))
			return true;
	return false;
}

/* A pair with port 0 is an address that is not known yet. */
static void add_pair(struct bad_sources *sources, const struct addr *pair)
{
	size_t row = row_of(sources, pair);

	if (!pair->port || has_pair(sources, pair))
		return;
	while (sources->rows[row].port)
		row = (row + 1) & sources->row_mask;
	sources->rows[row] = *pair;
	mark_port(&sources->marks, pair->port);
}

static void mark_begin(struct bad_marks *marks, const struct mask *mask, const struct addr *addr)
{
	const bool v4 = addr_is_v4(addr);
	const uint8_t fixed = ((const uint8_t *)mask->mask)[v4 ? V4_AT : 0];
	const uint8_t value = ((const uint8_t *)mask->value)[v4 ? V4_AT : 0];
	bool *begins = marks->begins + (v4 ? BAD_BEGIN_V4 : BAD_BEGIN_V6);

	for (unsigned octet = 0; octet < 256; octet++)
		begins[octet] |= (octet & fixed) == value;
	/* An IPv6 prefix of zeros. It says nothing about the octet that stands for IPv4. */
	if (!v4 && mask->value[0] == 0)
		memset(marks->begins + BAD_BEGIN_V4, true, 256);
}

/* A prefix with a port is found by its port, and one without by what it begins with. */
static void add_prefix(struct bad_sources *sources, const struct bad_prefix *prefix)
{
	const struct mask mask = mask_of(prefix);

	sources->masks[sources->mask_count++] = mask;
	if (mask.port)
		mark_port(&sources->marks, mask.port);
	else
		mark_begin(&sources->marks, &mask, &prefix->addr);
}

static void add_single(struct bad_sources *sources, const struct bad_single *single)
{
	const struct bad_prefix whole = { .addr = single->addr, .bits = addr_is_v4(&single->addr) ? 32 : 128 };
	const struct mask mask = mask_of(&whole);

	sources->singles[sources->single_count++] = *single;
	mark_begin(&sources->marks, &mask, &single->addr);
}

static bool make_room(struct bad_sources *sources, const struct bad_sources_spec *spec)
{
	size_t rows = 1;

	/* At least three quarters are free, so that the search for another pair ends soon. */
	while (rows < 4 * spec->pair_count)
		rows <<= 1;
	sources->row_mask = rows - 1;
	sources->rows = calloc(rows, sizeof *sources->rows);
	sources->masks = calloc(spec->prefix_count + 1, sizeof *sources->masks);
	sources->singles = calloc(spec->single_count + 1, sizeof *sources->singles);
	return sources->rows && sources->masks && sources->singles;
}

struct bad_sources *bad_sources_new(const struct bad_sources_spec *spec)
{
	struct bad_sources *sources = calloc(1, sizeof *sources);

	if (!sources)
		return NULL;
	if (!make_room(sources, spec)) {
		bad_sources_free(sources);
		return NULL;
	}
	sources->marks = bad_marks_always;
	for (size_t i = 0; i < spec->pair_count; i++)
		add_pair(sources, &spec->pairs[i]);
	for (size_t i = 0; i < spec->prefix_count; i++)
		add_prefix(sources, &spec->prefixes[i]);
	for (size_t i = 0; i < spec->single_count; i++)
		add_single(sources, &spec->singles[i]);
	return sources;
}

void bad_sources_free(struct bad_sources *sources)
{
	if (!sources)
		return;
	free(sources->rows);
	free(sources->masks);
	free(sources->singles);
	free(sources);
}

static void visit_mask(const struct mask *mask, bad_sources_visit *visit, void *ctx)
{
	struct bad_prefix prefix = { .bits = mask->bits };

	memcpy(prefix.addr.ip, mask->value, sizeof prefix.addr.ip);
	prefix.addr.port = mask->port;
	visit(ctx, &prefix);
}

void bad_sources_each(const struct bad_sources *sources, bad_sources_visit *visit, void *ctx)
{
	for (size_t row = 0; row <= sources->row_mask; row++)
		if (sources->rows[row].port) {
			const struct addr *pair = &sources->rows[row];

			visit(ctx, &(struct bad_prefix){ *pair, addr_is_v4(pair) ? 32 : 128 });
		}
	for (size_t i = 0; i < sources->mask_count; i++)
		visit_mask(&sources->masks[i], visit, ctx);
	for (size_t i = 0; i < sources->single_count; i++) {
		struct addr addr = sources->singles[i].addr;

		addr.port = 0;
		visit(ctx, &(struct bad_prefix){ addr, addr_is_v4(&addr) ? 32 : 128 });
	}
}

const struct bad_marks *bad_sources_marks(const struct bad_sources *sources)
{
	return &sources->marks;
}

static bool in_prefix(const struct bad_sources *sources, const struct addr *source)
{
	uint64_t ip[2];

	memcpy(ip, source->ip, sizeof ip);
	for (size_t i = 0; i < sources->mask_count; i++) {
		const struct mask *mask = &sources->masks[i];

		if ((ip[0] & mask->mask[0]) == mask->value[0] && (ip[1] & mask->mask[1]) == mask->value[1] &&
		    (!mask->port || mask->port == source->port))
			return true;
	}
	return false;
}

static bool at_single(const struct bad_sources *sources, const struct addr *source)
{
	for (size_t i = 0; i < sources->single_count; i++)
		if (memcmp(sources->singles[i].addr.ip, source->ip, sizeof source->ip) == 0 &&
		    port_set_has(sources->singles[i].open, source->port))
			return true;
	return false;
}

bool bad_sources_have_marked(const struct bad_sources *sources, const struct addr *source)
{
	if (!source->port || !addr_is_unicast(source))
		return true;
	return sources && (has_pair(sources, source) || in_prefix(sources, source) || at_single(sources, source));
}
