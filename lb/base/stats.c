#include "base/stats.h"

/* struct stats is counters and nothing else, so one loop adds them all, those of later versions too. */
_Static_assert(sizeof(stats_counter) == sizeof(uint64_t), "an array of counters has no gaps");

void stats_sum(struct stats *sum, const struct stats *one)
{
	static const size_t count = (offsetof(struct stats, strays) + sizeof sum->strays) / sizeof(stats_counter);
	stats_counter *to = (stats_counter *)sum;
	const stats_counter *from = (const stats_counter *)one;

	for (size_t i = 0; i < count; i++)
		stats_add(&to[i], stats_read(&from[i]));
}

const char *refused_name(enum refused reason)
{
	static const char *const names[REFUSED_REASONS] = {
		[REFUSED_FLOWS] = "flows",
		[REFUSED_SEND] = "send",
		[REFUSED_BUDGET] = "budget",
		[REFUSED_PLAINTEXT] = "plaintext",
		[REFUSED_NO_ADDRESS] = "no_address",
		[REFUSED_NEXT_HOP] = "next_hop",
		[REFUSED_TTL] = "ttl",
	};

	return names[reason];
}

const char *stateless_drop_name(enum stateless_drop reason)
{
	static const char *const names[STATELESS_DROPS] = {
		[STATELESS_CHECK] = "check", [STATELESS_SOURCE] = "source"
	};

	return names[reason];
}

const char *tunnel_drop_name(unsigned reason)
{
	static const char *const names[TUNNEL_DROPS] = {
		[TUNNEL_OUTER_SOURCE] = "outer_source", [TUNNEL_SERVICE] = "service"
	};

	return reason < PROXY2_RESULTS ? proxy2_result_name((enum proxy2_result)reason) : names[reason];
}
