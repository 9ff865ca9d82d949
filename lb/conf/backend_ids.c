/* The server ids of backends: their own, and those that they may claim. Layouts without ids ignore them, so they are
 * left alone: a pool may be switched to such a layout for comparison. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/claims.h"
#include "common/plural.h"
#include "conf/read.h"

/* INT64_MAX stands for all that 64 bits cannot hold. */
static int64_t max_number_id(size_t size)
{
	return size < 8 ? ((int64_t)1 << 8 * size) - 1 : INT64_MAX - 1;
}

static bool read_number(struct conf_reader *reader, const config_setting_t *setting, const struct cid_layout *layout,
			struct server_id *out)
{
	const struct conf_place place = conf_at(setting);
	const size_t size = cid_id_octets(layout);
	const int64_t number = config_setting_get_int64(setting);
	const int64_t max = max_number_id(size);

	if (number >= 0 && number <= max && cid_id_from_number(out, layout, (uint64_t)number) == 0)
		return true;
	if (number == INT64_MAX || number == INT64_MIN)
		conf_error(reader, place, "beyond 64 bits; accepted: 0..%" PRId64 " or %zu hex digits in quotes", max,
			   2 * size);
	else
		conf_error(reader, place, "%" PRId64 " does not fit size %zu; accepted: 0..%" PRId64, number, size,
			   max);
	return false;
}

/* A number or hex digits. False: reported. */
static bool read_one(struct conf_reader *reader, const config_setting_t *setting, const struct cid_layout *layout,
		     struct server_id *out)
{
	const int type = config_setting_type(setting);
	const size_t size = cid_id_octets(layout);
	char quoted[CONF_QUOTE_OCTETS];

	if (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64)
		return read_number(reader, setting, layout, out);
	if (type != CONFIG_TYPE_STRING)
		conf_error(reader, conf_at(setting), "not a server id; accepted: a number or %zu hex digits in quotes",
			   2 * size);
	else if (cid_id_from_hex(out, layout, conf_text_of(reader, setting)) == 0)
		return true;
	else
		conf_error(reader, conf_at(setting), "%s does not fit size %zu; accepted: %zu hex digits",
			   conf_quote(quoted, conf_text_of(reader, setting)), size, 2 * size);
	return false;
}

void conf_id_read(struct conf_reader *reader, const struct conf_value *id, const struct cid_layout *layout,
		  struct conf_backend *backend)
{
	if (cid_id_octets(layout) == 0)
		return;
	if (id->found == CONF_ABSENT)
		conf_error(reader, id->place, "missing: scheme \"%s\" needs one for each backend",
			   layout->rotations ? "quic-lb" : "node-id");
	else
		backend->has_id = read_one(reader, id->place.setting, layout, &backend->id);
}

void conf_id_base_read(struct conf_reader *reader, const struct conf_value *base, const struct cid_layout *layout,
		       struct conf_backend *first, size_t count)
{
	const size_t size = cid_id_octets(layout);

	if (size == 0 || base->found == CONF_WRONG)
		return;
	if (base->number > max_number_id(size) - (int64_t)(count - 1)) {
		conf_error(reader, base->place, "%zu id%s from %" PRId64 " %s not fit size %zu; accepted: 0..%" PRId64,
			   count, PLURAL(count), base->number, count == 1 ? "does" : "do", size, max_number_id(size));
		return;
	}
	for (size_t i = 0; i < count; i++)
		first[i].has_id = cid_id_from_number(&first[i].id, layout, (uint64_t)base->number + i) == 0;
}

/* Sorts the ids, and leaves each once. Returns how many are left. */
static size_t ids_sort(struct server_id *ids, size_t count)
{
	size_t kept = 0;

	qsort(ids, count, sizeof *ids, claims_id_compare);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || claims_id_compare(&ids[i], &ids[kept - 1]) != 0)
			ids[kept++] = ids[i];
	return kept;
}

/* Each backend gets a copy of its own. */
static void may_claim_give(struct conf_reader *reader, const struct server_id *ids, size_t id_count,
			   struct conf_backend *first, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		first[i].may_claim = malloc(id_count * sizeof *ids);
		reader->no_memory |= !first[i].may_claim;
		if (!first[i].may_claim)
			return;
		memcpy(first[i].may_claim, ids, id_count * sizeof *ids);
		first[i].may_claim_count = id_count;
	}
}

void conf_may_claim_read(struct conf_reader *reader, const struct conf_value *value, const struct cid_layout *layout,
			 struct conf_backend *first, size_t count)
{
	const config_setting_t *list = value->found == CONF_ABSENT ? NULL : value->place.setting;
	struct server_id ids[CONF_MAX_MAY_CLAIM];
	const char *text = conf_text_of(reader, list);
	size_t good = 0;

	if (!list || cid_id_octets(layout) == 0)
		return;
	if (text && strcmp(text, "any") == 0) {
		for (size_t i = 0; i < count; i++)
			first[i].may_claim_any = true;
		return;
	}
	if (!config_setting_is_array(list) && !config_setting_is_list(list)) {
		conf_error(reader, value->place,
			   "accepted: [ server ids ], or \"any\" for servers that trust each other");
		return;
	}
	const size_t entries = conf_read_count(reader, value, CONF_MAX_MAY_CLAIM);
	for (size_t i = 0; i < entries; i++)
		good += read_one(reader, config_setting_get_elem(list, (unsigned)i), layout, &ids[good]);
	if (good == 0)
		return;
	may_claim_give(reader, ids, ids_sort(ids, good), first, count);
}
