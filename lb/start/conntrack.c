#include "start/conntrack.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"

static bool number_read(uint64_t *out, const char *directory, const char *name)
{
	char path[256];
	FILE *file;
	bool good;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	file = fopen(path, "re");
	if (!file)
		return false;
	good = fscanf(file, "%" SCNu64, out) == 1;
	fclose(file);
	return good;
}

bool conntrack_read(struct conntrack *out, const char *directory)
{
	return number_read(&out->max, directory, "nf_conntrack_max") &&
	       number_read(&out->count, directory, "nf_conntrack_count");
}

uint64_t conntrack_needed(const struct conf *conf)
{
	uint64_t flows = 0;

	for (size_t i = 0; i < conf->pool_count; i++)
		flows += conf->pools[i].nat.max_flows;
	return 2 * flows;
}

void conntrack_check(const struct conf *conf)
{
	struct conntrack now;
	uint64_t needed = conntrack_needed(conf);

	/* The files are there once the module is loaded. It tracks nothing until a rule asks for it. Then it tracks
	 * everything, ourselves included. */
	if (!conntrack_read(&now, CONNTRACK_DIRECTORY) || now.count == 0 || now.max >= needed)
		return;
	log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "conntrack", NULL, NULL,
				       LOG_FIELDS(LOG_NUMBER("max", now.max), LOG_NUMBER("needed", needed),
						  LOG_TEXT("reason", "exempt cidlb's ports (packaging/notrack.nft), or "
								     "raise net.netfilter.nf_conntrack_max")) },
		   "the kernel tracks at most %" PRIu64
		   " connections and drops the rest; nat.max_flows may need %" PRIu64
		   ": exempt cidlb's ports (packaging/notrack.nft), or raise net.netfilter.nf_conntrack_max",
		   now.max, needed);
}
