#include "proxy2.h"

#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "hex.h"
#include "proxy2_memo.h"

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
	OURS_VERSION_1 = 0x10,
	OURS_VERSION_2 = 0x20,
	UP_DIRECT = 2, /* a direction of version 2 */
	OFFER = 0xe1,  /* version 2 is read, too */
	TAG_OCTETS = 8,
	KEY_OCTETS = 16,
	V4_AT = 12, /* where a mapped IPv4 address starts in addr.ip */
};
_Static_assert(PROXY2_V4_OCTETS == PREFIX_OCTETS + UDP4_OCTETS + TLV_OCTETS + OURS_OCTETS, "as the header says");
_Static_assert(PROXY2_V6_OCTETS == PREFIX_OCTETS + UDP6_OCTETS + TLV_OCTETS + OURS_OCTETS, "as the header says");
_Static_assert((int)PROXY2_OFFER_OCTETS == (int)TLV_OCTETS, "it is empty");

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

size_t proxy2_party_write(uint8_t out[static PROXY2_MAX_OCTETS], const struct proxy2_party *party,
			  const struct proxy2_ends *ends)
{
	const bool v4 = addr_is_v4(&ends->source) && addr_is_v4(&ends->destination);
	const size_t skip = v4 ? V4_AT : 0;
	const struct proxy2_key *key = &party->keys->keys[ends->key];
	const bool offers = ends->version == PROXY2_V1_OFFER && party->direction == PROXY2_UP;
	const bool first = ends->version == PROXY2_V1 || offers;
	const bool direct = ends->version == PROXY2_V2_DIRECT && party->direction == PROXY2_UP;
	const unsigned direction = direct ? UP_DIRECT : party->direction;
	const uint8_t marks[2] = { (uint8_t)((first ? OURS_VERSION_1 : OURS_VERSION_2) | direction), key->id };
	const uint64_t tag = proxy2_party_tag(party, &key->key, marks, ends);
	const size_t tlvs = (offers ? TLV_OCTETS : 0) + TLV_OCTETS + OURS_OCTETS;
	uint8_t *at = put(out, signature, sizeof signature);

	*at++ = VERSION_2_PROXY;
	*at++ = v4 ? UDP4 : UDP6;
	at = put_u16(at, (uint16_t)((v4 ? UDP4_OCTETS : UDP6_OCTETS) + tlvs));
	at = put(at, ends->source.ip + skip, sizeof ends->source.ip - skip);
	at = put(at, ends->destination.ip + skip, sizeof ends->destination.ip - skip);
	at = put_u16(at, ends->source.port);
	at = put_u16(at, ends->destination.port);
	if (offers) {
		*at++ = OFFER;
		at = put_u16(at, 0);
	}
	*at++ = OURS;
	at = put_u16(at, OURS_OCTETS);
	at = put(at, marks, sizeof marks);
	for (size_t i = 0; i < TAG_OCTETS; i++)
		*at++ = (uint8_t)(tag >> 8 * i);
	return (size_t)(at - out);
}

size_t proxy2_write(uint8_t out[static PROXY2_MAX_OCTETS], const struct proxy2_keys *keys,
		    enum proxy2_direction direction, const struct proxy2_ends *ends)
{
	return proxy2_party_write(out, &(struct proxy2_party){ keys, direction, NULL }, ends);
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

/* Finds the value of our TLV among all, and whether version 2 is offered. Every length is checked, whether ours was
 * found or not. */
static enum proxy2_result find_ours(const uint8_t **out, bool *offers, struct bytes tlvs)
{
	unsigned found = 0;
	bool fits = true;

	while (tlvs.left > 0) {
		const uint8_t *head = bytes_take(&tlvs, TLV_OCTETS);
		const uint8_t *value = head ? bytes_take(&tlvs, bytes_u16(head + 1)) : NULL;
		if (!value)
			return PROXY2_LENGTH;
		*offers |= head[0] == OFFER && bytes_u16(head + 1) == 0;
		if (head[0] != OURS)
			continue;
		found++;
		fits = fits && bytes_u16(head + 1) == OURS_OCTETS;
		*out = value;
	}
	if (found != 1 || !fits)
		return PROXY2_NO_TAG;
	const uint8_t version = (*out)[0] & 0xf0;
	return version == OURS_VERSION_1 || version == OURS_VERSION_2 ? PROXY2_GOOD : PROXY2_NO_TAG;
}

static bool is_direct(const uint8_t ours[static OURS_OCTETS])
{
	return ours[0] == (OURS_VERSION_2 | UP_DIRECT);
}

/* Says in ends->key which key it was. */
static enum proxy2_result verify(const uint8_t ours[static OURS_OCTETS], const struct proxy2_party *party,
				 struct proxy2_ends *ends)
{
	const struct proxy2_keys *keys = party->keys;
	enum proxy2_result result = PROXY2_KEY;
	uint64_t tag = 0;

	if ((ours[0] & 0x0f) != party->direction && !(party->direction == PROXY2_UP && is_direct(ours)))
		return PROXY2_DIRECTION;
	for (size_t i = 0; i < TAG_OCTETS; i++)
		tag |= (uint64_t)ours[2 + i] << 8 * i;
	for (size_t i = 0; i < keys->count; i++) {
		if (keys->keys[i].id != ours[1])
			continue;
		result = PROXY2_TAG;
		/* All 64 bits are compared at once, so the time does not tell how many are right. */
		if ((tag ^ proxy2_party_tag(party, &keys->keys[i].key, ours, ends)) != 0)
			continue;
		ends->key = (uint8_t)i;
		return PROXY2_GOOD;
	}
	return result;
}

static uint8_t version_of(const uint8_t ours[static OURS_OCTETS], bool offers)
{
	if ((ours[0] & 0xf0) != OURS_VERSION_2)
		return offers ? PROXY2_V1_OFFER : PROXY2_V1;
	return is_direct(ours) ? PROXY2_V2_DIRECT : PROXY2_V2;
}

enum proxy2_result proxy2_party_read(struct proxy2_ends *out, size_t *octets, const struct proxy2_party *party,
				     const uint8_t *data, size_t len)
{
	struct bytes in = { data, len };
	const uint8_t *prefix = bytes_take(&in, PREFIX_OCTETS);
	const uint8_t *ours = NULL;
	struct proxy2_ends ends;
	bool offers = false;

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
	enum proxy2_result result = find_ours(&ours, &offers, rest);
	if (result != PROXY2_GOOD)
		return result;
	read_ends(&ends, addresses, v4);
	result = verify(ours, party, &ends);
	if (result != PROXY2_GOOD)
		return result;
	ends.version = version_of(ours, offers);
	*out = ends;
	*octets = PREFIX_OCTETS + length;
	return PROXY2_GOOD;
}

enum proxy2_result proxy2_read(struct proxy2_ends *out, size_t *octets, const struct proxy2_keys *keys,
			       enum proxy2_direction direction, const uint8_t *data, size_t len)
{
	return proxy2_party_read(out, octets, &(struct proxy2_party){ keys, direction, NULL }, data, len);
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
