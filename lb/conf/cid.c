#include <string.h>

#include "common/learned.h"
#include "conf/read.h"

enum { CID_SCHEME, CID_LENGTH, CID_OFFSET, CID_SIZE, CID_CONFIGS, CID_MAX_CIDS, CID_OPTIONS };
enum scheme_word { NODE_ID, QUIC_LB, HASH, NONE, LEARNED };

static const struct conf_option cid_options[CID_OPTIONS] = {
	[CID_SCHEME] = { "scheme", .type = CONF_WORD, .required = true,
			 .words = { [NODE_ID] = "node-id",
				    [QUIC_LB] = "quic-lb",
				    [HASH] = "hash",
				    [NONE] = "none",
				    [LEARNED] = "learned" } },
	[CID_LENGTH] = { "length", .type = CONF_NUMBER, .min = 1, .max = LBCID_MAX_OCTETS, .unit = "octets" },
	[CID_OFFSET] = { "offset", .type = CONF_NUMBER, .min = 0, .max = LBCID_MAX_OCTETS - 1, .fallback = 0,
			 .unit = "octets" },
	[CID_SIZE] = { "size", .type = CONF_NUMBER, .min = 1, .max = LBCID_MAX_ID_OCTETS, .fallback = 1,
		       .unit = "octets" },
	[CID_CONFIGS] = { "configs", .type = CONF_LIST },
	[CID_MAX_CIDS] = { "max_cids", .type = CONF_NUMBER, .min = LEARNED_MIN_CIDS, .max = LEARNED_MAX_CIDS,
			   .fallback = 1000000 },
};

enum { ROTATION, ROTATION_ID_LENGTH, ROTATION_NONCE_LENGTH, ROTATION_KEY, ROTATION_OPTIONS };
enum { MAX_NONCE_OCTETS = LBCID_MAX_TEXT_OCTETS - 1 };

static const struct conf_option rotation_options[ROTATION_OPTIONS] = {
	[ROTATION] = { "rotation", .type = CONF_NUMBER, .required = true, .min = 0, .max = LBCID_ROTATIONS - 1 },
	[ROTATION_ID_LENGTH] = { "server_id_length", .type = CONF_NUMBER, .required = true, .min = 1,
				 .max = LBCID_MAX_ID_OCTETS, .unit = "octets" },
	[ROTATION_NONCE_LENGTH] = { "nonce_length", .type = CONF_NUMBER, .required = true,
				    .min = LBCID_MIN_NONCE_OCTETS, .max = MAX_NONCE_OCTETS, .unit = "octets" },
	[ROTATION_KEY] = { "key", .type = CONF_TEXT },
};

const struct conf_section conf_section_cid = { "pools.cid", cid_options, CID_OPTIONS };
const struct conf_section conf_section_cid_config = { "pools.cid.configs", rotation_options, ROTATION_OPTIONS };

static bool read_node_id(struct conf_reader *reader, struct conf_place group, const struct conf_value *values,
			 struct cid_layout *layout)
{
	layout->lbcid = (struct lbcid_config){
		.scheme = LBCID_NODE_ID,
		.length = layout->length,
		.offset = (uint8_t)values[CID_OFFSET].number,
		.size = (uint8_t)values[CID_SIZE].number,
	};
	layout->scheme = CID_LAYOUT_ID;
	if (lbcid_check(&layout->lbcid) == 0)
		return true;
	conf_error(reader, group, "offset %u + size %u is more than length %u", layout->lbcid.offset,
		   layout->lbcid.size, layout->length);
	return false;
}

/* Schemes node-id and hash. */
static bool read_fixed(struct conf_reader *reader, struct conf_place group, const struct conf_value *values,
		       struct cid_layout *layout)
{
	const struct conf_value *length = &values[CID_LENGTH];

	if (length->found == CONF_ABSENT)
		conf_error(reader, length->place, "missing");
	if (length->found != CONF_GOOD || values[CID_OFFSET].found == CONF_WRONG ||
	    values[CID_SIZE].found == CONF_WRONG)
		return false;
	layout->length = (uint8_t)length->number;
	if (values[CID_SCHEME].number == NODE_ID)
		return read_node_id(reader, group, values, layout);
	layout->scheme = CID_LAYOUT_HASH;
	conf_warn(reader, values[CID_SCHEME].place,
		  "with \"hash\", adding a backend moves sessions; only for servers that share session state");
	return true;
}

static bool read_rotation_key(struct conf_reader *reader, const struct conf_value *key, struct cid_rotation *out)
{
	if (key->found == CONF_ABSENT)
		conf_warn(reader, key->place, "missing: everyone can read the server ids in the CIDs");
	if (key->found != CONF_GOOD)
		return key->found == CONF_ABSENT;
	out->has_key = conf_key_read(reader, key, out->key);
	return out->has_key && !conf_key_is_exposed(reader, key);
}

static unsigned text_octets(const struct cid_rotation *rotation)
{
	return (unsigned)rotation->id_octets + rotation->nonce_octets;
}

/* configs[at] by itself. */
static bool read_rotation(struct conf_reader *reader, struct conf_place place, const struct conf_value *values,
			  struct cid_rotation *out)
{
	const bool has_key = read_rotation_key(reader, &values[ROTATION_KEY], out);

	for (int i = 0; i < ROTATION_KEY; i++)
		if (values[i].found != CONF_GOOD)
			return false;
	out->rotation = (uint8_t)values[ROTATION].number;
	out->id_octets = (uint8_t)values[ROTATION_ID_LENGTH].number;
	out->nonce_octets = (uint8_t)values[ROTATION_NONCE_LENGTH].number;
	if (text_octets(out) <= LBCID_MAX_TEXT_OCTETS)
		return has_key;
	conf_error(reader, place, "server_id_length %u + nonce_length %u is more than %d", out->id_octets,
		   out->nonce_octets, LBCID_MAX_TEXT_OCTETS);
	return false;
}

/* configs[at] beside those before it, which are good. */
static bool check_rotation(struct conf_reader *reader, struct conf_place place, const struct conf_value *values,
			   const struct cid_rotation *all, size_t at)
{
	const struct cid_rotation *one = &all[at];

	for (size_t i = 0; i < at; i++)
		if (all[i].rotation == one->rotation) {
			conf_error(reader, values[ROTATION].place, "already the rotation of configs[%zu]", i);
			return false;
		}
	if (one->id_octets != all[0].id_octets) {
		conf_error(reader, values[ROTATION_ID_LENGTH].place,
			   "%u, but %u in configs[0]: a server has one id in all of them", one->id_octets,
			   all[0].id_octets);
		return false;
	}
	if (text_octets(one) != text_octets(&all[0]))
		conf_warn(reader, place,
			  "CIDs of %u octets, those of configs[0] have %u: only for servers that take the length of a "
			  "CID from its first "
			  "octet",
			  1 + text_octets(one), 1 + text_octets(&all[0]));
	return true;
}

static bool read_rotations(struct conf_reader *reader, const struct conf_value *list, struct cid_layout *layout)
{
	const size_t count = conf_read_count(reader, list, LBCID_ROTATIONS);
	struct cid_rotation all[LBCID_ROTATIONS] = { 0 };
	struct conf_value values[ROTATION_OPTIONS];
	struct conf_place place;
	bool good = count > 0;

	if (list->found == CONF_ABSENT)
		conf_error(reader, list->place, "missing");
	for (size_t i = 0; i < count; i++) {
		if (!conf_read_element(reader, list->place.setting, (int)i, &place)) {
			good = false;
			continue;
		}
		conf_read_section(reader, place, &conf_section_cid_config, values);
		good = read_rotation(reader, place, values, &all[i]) && good;
		good = good && check_rotation(reader, place, values, all, i);
	}
	if (good && cid_layout_make(layout, all, count) != 0) {
		reader->no_memory = true;
		good = false;
	}
	explicit_bzero(all, sizeof all);
	return good;
}

static void refuse_foreign(struct conf_reader *reader, const struct conf_value *values, enum scheme_word scheme)
{
	if (scheme != LEARNED && values[CID_MAX_CIDS].found == CONF_GOOD)
		conf_error(reader, values[CID_MAX_CIDS].place, "belongs to scheme \"learned\"");
	if (scheme != QUIC_LB && values[CID_CONFIGS].found == CONF_GOOD)
		conf_error(reader, values[CID_CONFIGS].place, "belongs to scheme \"quic-lb\"");
	for (int i = CID_LENGTH; i <= CID_SIZE; i++)
		if (scheme == QUIC_LB && values[i].found == CONF_GOOD)
			conf_error(reader, values[i].place,
				   "belongs to other schemes; \"quic-lb\" has lengths in its configs");
		else if (scheme == LEARNED && values[i].found == CONF_GOOD)
			conf_error(reader, values[i].place,
				   "belongs to other schemes; with \"learned\" CIDs may be of any length");
}

static void learn(struct conf_pool *pool, int64_t max_cids)
{
	pool->layout.scheme = CID_LAYOUT_LEARNED;
	pool->max_cids = (uint32_t)max_cids;
}

bool conf_cid_read(struct conf_reader *reader, const struct conf_value *protocol, const struct conf_value *cid,
		   struct conf_pool *pool)
{
	struct conf_value values[CID_OPTIONS];

	if (protocol->found == CONF_WRONG || cid->found == CONF_WRONG)
		return false;
	if (pool->protocol == POOL_UDP) {
		if (cid->found == CONF_GOOD)
			conf_error(reader, cid->place, "a udp pool has no CIDs; remove it, or say protocol = \"dtls\"");
		return true;
	}
	if (cid->found == CONF_ABSENT) {
		learn(pool, cid_options[CID_MAX_CIDS].fallback);
		return true;
	}
	conf_read_section(reader, cid->place, &conf_section_cid, values);
	if (values[CID_SCHEME].found != CONF_GOOD)
		return false;
	const enum scheme_word scheme = (enum scheme_word)values[CID_SCHEME].number;
	refuse_foreign(reader, values, scheme);
	if (scheme == QUIC_LB)
		return read_rotations(reader, &values[CID_CONFIGS], &pool->layout);
	if (scheme == LEARNED) {
		learn(pool, values[CID_MAX_CIDS].number);
		return values[CID_MAX_CIDS].found != CONF_WRONG;
	}
	if (scheme != NONE)
		return read_fixed(reader, cid->place, values, &pool->layout);
	conf_warn(reader, values[CID_SCHEME].place, "with \"none\", sessions are lost when devices change address");
	return true;
}
