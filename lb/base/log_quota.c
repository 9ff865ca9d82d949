#include "base/log_quota.h"

static bool is_over(const struct quota *quota, int64_t now_s)
{
	return quota->lines > 0 && now_s - quota->begin_s >= QUOTA_S;
}

bool quota_take(struct quota *quota, int64_t now_s)
{
	/* What is still to be told of the last minute ends it. */
	if (quota->more == 0 && is_over(quota, now_s))
		*quota = (struct quota){ 0 };
	if (quota->lines == QUOTA_LINES) {
		quota->more++;
		return false;
	}
	if (quota->lines++ == 0)
		quota->begin_s = now_s;
	return true;
}

uint64_t quota_more(struct quota *quota, int64_t now_s)
{
	const uint64_t more = quota->more;

	if (!is_over(quota, now_s))
		return 0;
	*quota = (struct quota){ 0 };
	return more;
}
