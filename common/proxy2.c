#include "proxy2.h"

#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "hex.h"

enum {
	PREFIX_OCTETS = 16, /* signature, version and command, family and protocol, length */
	SIGNATURE_OCTETS = 12,
	VERSION_2_PROXY = 0x21,
	UDP4 = 0x12,
	UDP6 = 0x22,
	UDP4_OCTETS = 12,
	UDP6_OCTETS = 36,
	TLV_OCTETS = 3,   /* type, length */
	OURS = 0xe0,      /* the first type left to applications */
	OURS_OCTETS = 10, /* version and direction, key id, tag */
	OURS_VERSION = 0x10,
	TAG_OCTETS = 8,
	KEY_OCTETS = 16,
	SIGNED_OCTETS = 2 + 2 * (16 + 2),
	V4_AT = 12, /* where a mapped IPv4 address starts in addr.ip */
};
_Static_assert(PROXY2_V4_OCTETS == PREFIX_OCTETS + UDP4_OCTETS + TLV_OCTETS + OURS_OCTETS, "as the header says");
_Static_assert(PROXY2_V6_OCTETS == PREFIX_OCTETS + UDP6_OCTETS + TLV_OCTETS + OURS_OCTETS, "as the header says");

static const uint8_t signature[SIGNATURE_OCTETS] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
						     0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };

static uint8_t *put(uint8_t *at, const void *from, size_t octets)
{
	memcpy(at, from, octets);
	return at + octets;
}

static uint8_t *put_u16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return at + 2;
}

static uint64_t compute_tag(const struct siphash_key *key, const uint8_t marks[static 2],
			    const struct proxy2_ends *ends)
{
	uint8_t text[SIGNED_OCTETS];
	uint8_t *at = put(text, marks, 2);

	at = put(at, ends->source.ip, sizeof ends->source.ip);
	at = put(at, ends->destination.ip, sizeof ends->destination.ip);
	at = put_u16(at, ends->source.port);
	put_u16(at, ends->destination.port);
	return siphash24(key, text, sizeof text);
}

size_t proxy2_write(uint8_t out[static PROXY2_MAX_OCTETS], const struct proxy2_keys *keys,
		    enum proxy2_direction direction, const struct proxy2_ends *ends)
{
	const bool v4 = addr_is_v4(&ends->source) && addr_is_v4(&ends->destination);
	const size_t skip = v4 ? V4_AT : 0;
	const struct proxy2_key *key = &keys->keys[ends->key];
	const uint8_t marks[2] = { (uint8_t)(OURS_VERSION | direction), key->id };
	const uint64_t tag = compute_tag(&key->key, marks, ends);
	uint8_t *at = put(out, signature, sizeof signature);

	*at++ = VERSION_2_PROXY;
	*at++ = v4 ? UDP4 : UDP6;
	at = put_u16(at, (v4 ? UDP4_OCTETS : UDP6_OCTETS) + TLV_OCTETS + OURS_OCTETS);
	at = put(at, ends->source.ip + skip, sizeof ends->source.ip - skip);
	at = put(at, ends->destination.ip + skip, sizeof ends->destination.ip - skip);
	at = put_u16(at, ends->source.port);
	at = put_u16(at, ends->destination.port);
	*at++ = OURS;
	at = put_u16(at, OURS_OCTETS);
	at = put(at, marks, sizeof marks);
	for (size_t i = 0; i < TAG_OCTETS; i++)
		*at++ = (uint8_t)(tag >> 8 * i);
	return (size_t)(at - out);
}

/* `at` holds at least the addresses of its family. */
static void read_ends(struct proxy2_ends *out, const uint8_t *at, bool v4)
{
	const size_t skip = v4 ? V4_AT : 0, octets = 16 - skip;

	*out = (struct proxy2_ends){ 0 };
	if (v4) {
		memset(out->source.ip + 10, 0xff, 2);
		memset(out->destination.ip + 10, 0xff, 2);
	}
	memcpy(out->source.ip + skip, at, octets);
	memcpy(out->destination.ip + skip, at + octets, octets);
	out->source.port = bytes_u16(at + 2 * octets);
	out->destination.port = bytes_u16(at + 2 * octets + 2);
}

/* Finds the value of our TLV among all. Every length is checked, whether ours was found or not. */
static enum proxy2_result find_ours(const uint8_t **out, struct bytes tlvs)
{
	unsigned found = 0;
	bool fits = true;

	while (tlvs.left > 0) {
		const uint8_t *head = bytes_take(&tlvs, TLV_OCTETS);
		const uint8_t *value = head ? bytes_take(&tlvs, bytes_u16(head + 1)) : NULL;
		if (!value)
			return PROXY2_LENGTH;
		if (head[0] != OURS)
			continue;
		found++;
		fits = fits && bytes_u16(head + 1) == OURS_OCTETS;
		*out = value;
	}
	return found == 1 && fits && ((*out)[0] & 0xf0) == OURS_VERSION ? PROXY2_GOOD : PROXY2_NO_TAG;
}

/* Says in ends->key which key it was. */
static enum proxy2_result verify(const uint8_t ours[static OURS_OCTETS], const struct proxy2_keys *keys,
				 enum proxy2_direction direction, struct proxy2_ends *ends)
{
	enum proxy2_result result = PROXY2_KEY;
	uint64_t tag = 0;

	if ((ours[0] & 0x0f) != direction)
		return PROXY2_DIRECTION;
	for (size_t i = 0; i < TAG_OCTETS; i++)
		tag |= (uint64_t)ours[2 + i] << 8 * i;
	for (size_t i = 0; i < keys->count; i++) {
		if (keys->keys[i].id != ours[1])
			continue;
		result = PROXY2_TAG;
		/* All 64 bits are compared at once, so the time does not tell how many are right. */
		if ((tag ^ compute_tag(&keys->keys[i].key, ours, ends)) != 0)
			continue;
		ends->key = (uint16_t)i;
		return PROXY2_GOOD;
	}
	return result;
}

enum proxy2_result proxy2_read(struct proxy2_ends *out, size_t *octets, const struct proxy2_keys *keys,
			       enum proxy2_direction direction, const uint8_t *data, size_t len)
{
	struct bytes in = { data, len };
	const uint8_t *prefix = bytes_take(&in, PREFIX_OCTETS);
	const uint8_t *ours = NULL;
	struct proxy2_ends ends;

	if (!prefix || memcmp(prefix, signature, sizeof signature) != 0)
		return PROXY2_NO_HEADER;
	if (prefix[12] != VERSION_2_PROXY || (prefix[13] != UDP4 && prefix[13] != UDP6))
		return PROXY2_KIND;
	const size_t length = bytes_u16(prefix + 14);
	/* The header's own length bounds what follows, not the datagram's length. */
	struct bytes rest = { bytes_take(&in, length), length };
	if (!rest.at)
		return PROXY2_LENGTH;
	const bool v4 = prefix[13] == UDP4;
	const uint8_t *addresses = bytes_take(&rest, v4 ? UDP4_OCTETS : UDP6_OCTETS);
	if (!addresses)
		return PROXY2_LENGTH;
	enum proxy2_result result = find_ours(&ours, rest);
	if (result != PROXY2_GOOD)
		return result;
	read_ends(&ends, addresses, v4);
	result = verify(ours, keys, direction, &ends);
	if (result != PROXY2_GOOD)
		return result;
	*out = ends;
	*octets = PREFIX_OCTETS + length;
	return PROXY2_GOOD;
}

const char *proxy2_result_name(enum proxy2_result result)
{
	static const char *const names[PROXY2_RESULTS] = {
		[PROXY2_GOOD] = "good",     [PROXY2_NO_HEADER] = "no_header",
		[PROXY2_LENGTH] = "length", [PROXY2_KIND] = "kind",
		[PROXY2_NO_TAG] = "no_tag", [PROXY2_DIRECTION] = "direction",
		[PROXY2_KEY] = "key",       [PROXY2_TAG] = "tag",
	};

	return names[result];
}

/* Reads ID:HEX and returns the end of its line. NULL: anything else. */
static const char *parse_key(struct proxy2_key *out, const char *line)
{
	uint8_t octets[KEY_OCTETS] = { 0 };
	const size_t id_digits = strspn(line, "0123456789");
	const char *hex = line + id_digits + 1;
	unsigned id = 0;

	if (id_digits < 1 || id_digits > 3 || line[id_digits] != ':' || hex_span(hex) != 2 * sizeof octets ||
	    hex_read(octets, sizeof octets, hex, 2 * sizeof octets) < 0)
		return NULL;
	for (size_t i = 0; i < id_digits; i++)
		id = id * 10 + (unsigned)(line[i] - '0');
	*out = (struct proxy2_key){ (uint8_t)id, siphash_key_load(octets) };
	hex += 2 * sizeof octets;
	hex += strspn(hex, " \t\r");
	return id <= UINT8_MAX && (*hex == '\n' || *hex == '\0') ? hex : NULL;
}

static bool is_there(const struct proxy2_keys *keys, const struct proxy2_key *key)
{
	for (size_t i = 0; i < keys->count; i++)
		if (keys->keys[i].id == key->id && keys->keys[i].key.k0 == key->key.k0 &&
		    keys->keys[i].key.k1 == key->key.k1)
			return true;
	return false;
}

int proxy2_parse_keys(struct proxy2_keys *out, const char *text)
{
	*out = (struct proxy2_keys){ 0 };
	while (*(text += strspn(text, " \t\r\n"))) {
		struct proxy2_key *key = &out->keys[out->count];
		if (out->count == PROXY2_KEYS || !(text = parse_key(key, text)) || is_there(out, key))
			return -EINVAL;
		out->count++;
	}
	return out->count == 0 ? -EINVAL : 0;
}
