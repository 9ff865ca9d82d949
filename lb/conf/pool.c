#include "common/learned.h"
#include "common/limit.h"
#include "conf/read.h"

enum {
	POOL_NAME,
	POOL_PROTOCOL,
	POOL_FORWARD,
	POOL_AFFINITY,
	POOL_UNKNOWN_CID,
	POOL_CID,
	POOL_MAX_RESUMABLE,
	POOL_NAT,
	POOL_TUNNEL,
	POOL_DSR,
	POOL_FAST,
	POOL_HEALTH,
	POOL_HELLO_RATE,
	POOL_BACKENDS,
	POOL_OPTIONS,
};

static const struct conf_option pool_options[POOL_OPTIONS] = {
	[POOL_NAME] = { "name", .type = CONF_TEXT, .required = true },
	[POOL_PROTOCOL] = { "protocol", .type = CONF_WORD, .words = { [POOL_DTLS] = "dtls", [POOL_UDP] = "udp" } },
	[POOL_FORWARD] = { "forward", .type = CONF_WORD,
			   .words = { [FORWARD_NAT] = "nat", [FORWARD_TUNNEL] = "tunnel", [FORWARD_DSR] = "dsr" } },
	[POOL_AFFINITY] = { "affinity", .type = CONF_WORD,
			    .words = { [AFFINITY_ADDRESS_PORT] = "address-port", [AFFINITY_ADDRESS] = "address" } },
	[POOL_UNKNOWN_CID] = { "unknown_cid", .type = CONF_WORD,
			       .words = { [UNKNOWN_CID_DROP] = "drop", [UNKNOWN_CID_HASH] = "hash" } },
	[POOL_CID] = { "cid", .type = CONF_GROUP },
	[POOL_MAX_RESUMABLE] = { "max_resumable", .type = CONF_NUMBER, .min = 0, .max = LEARNED_MAX_CIDS,
				 .fallback = 100000 },
	[POOL_NAT] = { "nat", .type = CONF_GROUP },
	[POOL_TUNNEL] = { "tunnel", .type = CONF_GROUP },
	[POOL_DSR] = { "dsr", .type = CONF_GROUP },
	[POOL_FAST] = { "fast", .type = CONF_BOOL, .fallback = 1 },
	[POOL_HEALTH] = { "health", .type = CONF_GROUP },
	[POOL_HELLO_RATE] = { "hello_rate", .type = CONF_GROUP },
	[POOL_BACKENDS] = { "backends", .type = CONF_LIST, .required = true },
};

enum { HELLO_RATE_POOL, HELLO_RATE_BACKEND, HELLO_RATE_PREFIX, HELLO_RATE_OPTIONS };

static const struct conf_option hello_rate_options[HELLO_RATE_OPTIONS] = {
	[HELLO_RATE_POOL] = { "pool", .type = CONF_NUMBER, .min = 0, .max = LIMIT_RATE_MAX, .unit = "per second" },
	[HELLO_RATE_BACKEND] = { "backend", .type = CONF_NUMBER, .min = 0, .max = LIMIT_RATE_MAX,
				 .unit = "per second" },
	[HELLO_RATE_PREFIX] = { "prefix", .type = CONF_NUMBER, .min = 0, .max = LIMIT_RATE_MAX, .unit = "per second" },
};

const struct conf_section conf_section_pool = { "pools", pool_options, POOL_OPTIONS };
const struct conf_section conf_section_hello_rate = { "pools.hello_rate", hello_rate_options, HELLO_RATE_OPTIONS };

static void read_hello_rate(struct conf_reader *reader, const struct conf_value *protocol,
			    const struct conf_value *rate, struct conf_pool *pool)
{
	struct conf_value values[HELLO_RATE_OPTIONS];

	if (rate->found == CONF_WRONG)
		return;
	if (rate->found == CONF_GOOD && protocol->found != CONF_WRONG && pool->protocol == POOL_UDP) {
		conf_error(reader, rate->place,
			   "a udp pool has no ClientHellos; remove it, or say protocol = \"dtls\"");
		return;
	}
	conf_read_section(reader, rate->place, &conf_section_hello_rate, values);
	pool->hello_rate = (struct conf_hello_rate){
		.pool = (uint32_t)values[HELLO_RATE_POOL].number,
		.backend = (uint32_t)values[HELLO_RATE_BACKEND].number,
		.prefix = (uint32_t)values[HELLO_RATE_PREFIX].number,
	};
}

static void read_max_resumable(struct conf_reader *reader, const struct conf_value *protocol,
			       const struct conf_value *max, struct conf_pool *pool)
{
	if (protocol->found == CONF_WRONG || max->found == CONF_WRONG)
		return;
	if (pool->protocol == POOL_UDP) {
		if (max->found == CONF_GOOD)
			conf_error(reader, max->place,
				   "a udp pool has no sessions to resume; remove it, or say protocol = \"dtls\"");
		return;
	}
	if (max->number > 0 && max->number < LEARNED_MIN_CIDS) {
		conf_error(reader, max->place, "%d is out of range; accepted: 0, %d..%d", (int)max->number,
			   LEARNED_MIN_CIDS, LEARNED_MAX_CIDS);
		return;
	}
	pool->max_resumable = (uint32_t)max->number;
}

/* The group of the pool's mode is read; those of other modes do nothing. */
static void read_forward(struct conf_reader *reader, const struct conf_value *values, struct conf_pool *pool)
{
	static void (*const read[])(struct conf_reader *, struct conf_place, struct conf_pool *) = {
		[FORWARD_NAT] = conf_nat_read,
		[FORWARD_TUNNEL] = conf_tunnel_read,
		[FORWARD_DSR] = conf_dsr_read,
	};
	static const unsigned groups[] = {
		[FORWARD_NAT] = POOL_NAT,
		[FORWARD_TUNNEL] = POOL_TUNNEL,
		[FORWARD_DSR] = POOL_DSR,
	};

	pool->forward = (enum conf_forward)values[POOL_FORWARD].number;
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
		if (i != pool->forward && values[groups[i]].found == CONF_GOOD)
			conf_warn(reader, values[groups[i]].place, "no effect with forward = \"%s\"",
				  pool_options[POOL_FORWARD].words[pool->forward]);
	if (values[groups[pool->forward]].found != CONF_WRONG)
		read[pool->forward](reader, values[groups[pool->forward]].place, pool);
	/* What servers give out does not pass cidlb there. */
	if (!conf_pool_is_direct(pool))
		return;
	pool->max_resumable = 0;
	if (values[POOL_MAX_RESUMABLE].found == CONF_GOOD && values[POOL_MAX_RESUMABLE].number > 0)
		conf_warn(reader, values[POOL_MAX_RESUMABLE].place, "no effect with %s%s",
			  pool->forward == FORWARD_DSR ? "forward = " : "",
			  pool->forward == FORWARD_DSR ? "\"dsr\"" : conf_direct_name(pool));
}

void conf_pool_read(struct conf_reader *reader, struct conf_place place, struct conf_pool *pool)
{
	struct conf_value values[POOL_OPTIONS];

	conf_read_section(reader, place, &conf_section_pool, values);
	pool->name = conf_read_name(reader, &values[POOL_NAME]);
	pool->protocol = (enum pool_protocol)values[POOL_PROTOCOL].number;
	pool->affinity = (enum pool_affinity)values[POOL_AFFINITY].number;
	pool->unknown_cid = (enum unknown_cid)values[POOL_UNKNOWN_CID].number;
	pool->only_sockets = values[POOL_FAST].number == 0;
	const bool layout_known = conf_cid_read(reader, &values[POOL_PROTOCOL], &values[POOL_CID], pool);
	read_max_resumable(reader, &values[POOL_PROTOCOL], &values[POOL_MAX_RESUMABLE], pool);
	conf_health_read(reader, &values[POOL_HEALTH], pool);
	read_hello_rate(reader, &values[POOL_PROTOCOL], &values[POOL_HELLO_RATE], pool);
	conf_backends_read(reader, &values[POOL_BACKENDS], layout_known ? &pool->layout : NULL, pool);
	if (values[POOL_FORWARD].found != CONF_WRONG)
		read_forward(reader, values, pool);
}
