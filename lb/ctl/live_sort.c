#include "ctl/live_sort.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/live_table.h"

/* What comes first is smaller. Rows that are equal stay in the order of the configuration. */
struct ranked {
	json_t *row;
	size_t at;
	const char *text;
	double number; /* counts if there is no text */
};

static double name_rank(const json_t *row, const char **text)
{
	*text = live_text(row, "name");
	return 0;
}

static double flows_rank(const json_t *row, const char **text)
{
	(void)text;
	return -(double)live_number(row, "flows");
}

static double octets_rank(const json_t *row, const char **text)
{
	(void)text;
	return -(double)live_number(row, "octets_up") - (double)live_number(row, "octets_down");
}

/* One that has never had a CID is silent for longest. */
static double last_rank(const json_t *row, const char **text)
{
	const json_t *last_s = json_object_get(row, "last_cid_s");

	(void)text;
	return json_is_integer(last_s) ? -(double)json_integer_value(last_s) : -1e18;
}

static double probe_rank(const json_t *row, const char **text)
{
	(void)text;
	return -(double)live_number(row, "latency_us");
}

static const struct {
	const char *key;
	double (*rank)(const json_t *row, const char **text);
} keys[] = { { "name", name_rank },
	     { "flows", flows_rank },
	     { "octets", octets_rank },
	     { "last", last_rank },
	     { "probe", probe_rank } };

enum { KEYS = sizeof keys / sizeof *keys };

/* cidlb sorts flows itself, as it has more than it shows. */
static const char *const flow_keys[] = { "moves", "octets", "last" };

enum { FLOW_KEYS = sizeof flow_keys / sizeof *flow_keys };

enum ctl_exit live_sort_check(const char *command, const struct ctl_options *options)
{
	const bool of_flows = strcmp(command, "flows") == 0;
	const size_t count = of_flows ? FLOW_KEYS : KEYS;

	for (size_t i = 0; options->sort && i < count; i++)
		if (strcmp(of_flows ? flow_keys[i] : keys[i].key, options->sort) == 0)
			return CTL_OK;
	if (!options->sort)
		return CTL_OK;
	fputs("cidlbctl: --sort takes", stderr);
	for (size_t i = 0; i < count; i++)
		fprintf(stderr, "%s %s",
			i == 0          ? ""
			: i + 1 < count ? ","
					: " or",
			of_flows ? flow_keys[i] : keys[i].key);
	fprintf(stderr, ", not %s\n", options->sort);
	return CTL_USAGE;
}

static int compare(const void *x, const void *y)
{
	const struct ranked *a = x, *b = y;
	const int by_text = a->text ? strcmp(a->text, b->text) : 0;

	if (by_text)
		return by_text;
	if (a->number < b->number || a->number > b->number)
		return a->number < b->number ? -1 : 1;
	return a->at < b->at ? -1 : 1;
}

/* True: it is one of those that are shown. */
static bool is_shown(const json_t *row, const struct ctl_options *options)
{
	return !options->down || strcmp(live_text(row, "health"), "down") == 0;
}

void live_sort_backends(json_t *answer, const struct ctl_options *options)
{
	json_t *rows = json_object_get(answer, "backends"), *sorted = json_array(), *row;
	struct ranked *ranked = calloc(json_array_size(rows) + 1, sizeof *ranked);
	size_t index, count = 0;

	json_array_foreach(rows, index, row)
	{
		if (!ranked || !is_shown(row, options))
			continue;
		ranked[count] = (struct ranked){ .row = row, .at = index };
		for (size_t i = 0; options->sort && i < KEYS; i++)
			if (strcmp(keys[i].key, options->sort) == 0)
				ranked[count].number = keys[i].rank(row, &ranked[count].text);
		count++;
	}
	qsort(ranked, count, sizeof *ranked, compare);
	for (size_t i = 0; i < count; i++)
		json_array_append(sorted, ranked[i].row);
	if (ranked)
		json_object_set_new(answer, "backends", sorted);
	free(ranked);
}
