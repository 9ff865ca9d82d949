#include "bench/programs/backend/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>

static size_t bucket(uint64_t changes)
{
	return changes < REPORT_CHANGES ? (size_t)changes : REPORT_CHANGES - 1;
}

void report_count_session(struct report *report, uint64_t changes)
{
	report->sessions++;
	report->sessions_by_changes[bucket(changes)]++;
	if (changes > report->max_address_changes)
		report->max_address_changes = changes;
}

void report_count_change(struct report *report, uint64_t before)
{
	report->address_changes++;
	if (before + 1 > report->max_address_changes)
		report->max_address_changes = before + 1;
	report->sessions_by_changes[bucket(before)]--;
	report->sessions_by_changes[bucket(before + 1)]++;
}

int report_write(FILE *out, unsigned id, const struct report *report)
{
	const struct {
		const char *name;
		uint64_t value;
	} numbers[] = {
		{ "datagrams", report->datagrams },
		{ "hellos", report->hellos },
		{ "handshakes", report->handshakes },
		{ "handshakes_started", report->handshakes_started },
		{ "sessions", report->sessions },
		{ "sessions_loaded", report->sessions_loaded },
		{ "sessions_saved", report->sessions_saved },
		{ "sessions_unsaved", report->sessions_unsaved },
		{ "address_changes", report->address_changes },
		{ "max_address_changes_per_session", report->max_address_changes },
		{ "forged_records", report->forged_records },
		{ "unknown_cid", report->unknown_cid },
		{ "bad_headers", report->bad_headers },
		{ "notifications", report->notifications },
		{ "requests", report->requests },
	};
	size_t buckets = REPORT_CHANGES;

	fprintf(out, "{\"id\": %u", id);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		fprintf(out, ", \"%s\": %" PRIu64, numbers[i].name, numbers[i].value);
	while (buckets && !report->sessions_by_changes[buckets - 1])
		buckets--;
	fputs(", \"sessions_by_changes\": [", out);
	for (size_t i = 0; i < buckets; i++)
		fprintf(out, "%s%" PRIu64, i ? ", " : "", report->sessions_by_changes[i]);
	fputs("]}\n", out);
	return fflush(out) || ferror(out) ? -EIO : 0;
}

int report_save(const char *file, unsigned id, const struct report *report)
{
	char next[4096];
	int len = snprintf(next, sizeof next, "%s.new", file);

	if (len < 0 || (size_t)len >= sizeof next)
		return -ENAMETOOLONG;
	FILE *out = fopen(next, "we");
	if (!out)
		return -errno;
	int err = report_write(out, id, report);
	if (fclose(out) && !err)
		err = -errno;
	if (!err && rename(next, file))
		err = -errno;
	if (err)
		remove(next);
	return err;
}
