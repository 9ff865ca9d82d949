#include "base/log_quota.h"

static bool is_over(const struct log_quota *quota, int64_t now_s)
{
	return quota->lines > 0 && now_s - quota->begin_s >= LOG_QUOTA_S;
}

bool log_quota_take(struct log_quota *quota, int64_t now_s)
{
	/* A minute ends once its number has been told. */
	if (quota->more == 0 && is_over(quota, now_s))
		*quota = (struct log_quota){ 0 };
	if (quota->lines == LOG_QUOTA_LINES) {
		quota->more++;
		return false;
	}
	if (quota->lines++ == 0)
		quota->begin_s = now_s;
	return true;
}

uint64_t log_quota_more(struct log_quota *quota, int64_t now_s)
{
	const uint64_t more = quota->more;

	if (!is_over(quota, now_s))
		return 0;
	*quota = (struct log_quota){ 0 };
	return more;
}
