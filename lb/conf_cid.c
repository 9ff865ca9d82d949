#include "conf_priv.h"

enum { CID_SCHEME, CID_LENGTH, CID_OFFSET, CID_SIZE, CID_CONFIGS, CID_OPTIONS };

static const enum cid_scheme scheme_of_word[] = { CID_LAYOUT_ID, CID_LAYOUT_HASH, CID_LAYOUT_NONE };

static const struct conf_option cid_options[CID_OPTIONS] = {
	[CID_SCHEME] = { "scheme", .type = CONF_WORD, .required = true, .words = { "node-id", "hash", "none" },
			 .later = { "quic-lb", "learned" } },
	[CID_LENGTH] = { "length", .type = CONF_NUMBER, .min = 1, .max = LBCID_MAX_OCTETS, .unit = "octets" },
	[CID_OFFSET] = { "offset", .type = CONF_NUMBER, .min = 0, .max = LBCID_MAX_OCTETS - 1, .fallback = 0, .unit = "octets" },
	[CID_SIZE] = { "size", .type = CONF_NUMBER, .min = 1, .max = LBCID_MAX_ID_OCTETS, .fallback = 1, .unit = "octets" },
	[CID_CONFIGS] = { "configs", .type = CONF_ANY },
};

const struct conf_section conf_section_cid = { "pools.cid", cid_options, CID_OPTIONS };

/* False (reported): the numbers give no layout. */
static bool read_layout(struct conf_reader *reader, struct conf_place group, const struct conf_value *values, struct cid_layout *layout)
{
	const struct conf_value *length = &values[CID_LENGTH];

	if (layout->scheme == CID_LAYOUT_NONE)
		return true;
	if (length->found == CONF_ABSENT)
		conf_error(reader, length->place, "missing");
	if (length->found != CONF_GOOD || values[CID_OFFSET].found == CONF_WRONG || values[CID_SIZE].found == CONF_WRONG)
		return false;
	layout->length = (uint8_t)length->number;
	if (layout->scheme == CID_LAYOUT_HASH)
		return true;
	layout->lbcid = (struct lbcid_config){
		.scheme = LBCID_NODE_ID,
		.length = layout->length,
		.offset = (uint8_t)values[CID_OFFSET].number,
		.size = (uint8_t)values[CID_SIZE].number,
	};
	if (lbcid_check(&layout->lbcid) == 0)
		return true;
	conf_error(reader, group, "offset %u + size %u is more than length %u", layout->lbcid.offset, layout->lbcid.size, layout->length);
	return false;
}

bool conf_cid_read(struct conf_reader *reader, const struct conf_value *protocol, const struct conf_value *cid, struct conf_pool *pool)
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
		conf_error(reader, cid->place, "missing: how do the servers of this pool write ids into CIDs?");
		return false;
	}
	conf_read_section(reader, cid->place, &conf_section_cid, values);
	if (values[CID_SCHEME].found != CONF_GOOD)
		return false;
	if (values[CID_CONFIGS].found == CONF_GOOD)
		conf_error(reader, values[CID_CONFIGS].place, "belongs to scheme \"quic-lb\", which is not built yet");
	pool->layout.scheme = scheme_of_word[values[CID_SCHEME].number];
	if (pool->layout.scheme == CID_LAYOUT_HASH)
		conf_warn(reader, values[CID_SCHEME].place,
			  "with \"hash\", adding a backend moves sessions; only for servers that share session state");
	if (pool->layout.scheme == CID_LAYOUT_NONE)
		conf_warn(reader, values[CID_SCHEME].place, "with \"none\", sessions are lost when devices change address");
	return read_layout(reader, cid->place, values, &pool->layout);
}
