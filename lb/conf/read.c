#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conf/read.h"

enum { NAME_MAX_OCTETS = 63 };

/* The Levenshtein distance of names up to NAME_MAX_OCTETS. */
static size_t edit_distance(const char *a, const char *b)
{
	const size_t columns = strlen(b);
	size_t row[NAME_MAX_OCTETS + 1];

	for (size_t j = 0; j <= columns; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];
		row[0] = i + 1;
		for (size_t j = 0; j < columns; j++) {
			const size_t change = diagonal + (a[i] != b[j]);
			const size_t other = 1 + (row[j] < row[j + 1] ? row[j] : row[j + 1]);
			diagonal = row[j + 1];
			row[j + 1] = change < other ? change : other;
		}
	}
	return row[columns];
}

/* The option that `name` may have meant: one typing error away, two if the name is long enough for that to say
 * something. */
static const char *nearest_name(const struct conf_section *section, const char *name)
{
	size_t best = strlen(name) < 4 ? 2 : 3;
	const char *nearest = NULL;

	for (size_t i = 0; i < section->count; i++) {
		const size_t distance = edit_distance(name, section->options[i].name);
		if (distance < best) {
			best = distance;
			nearest = section->options[i].name;
		}
	}
	return nearest;
}

static void report_unknown(struct conf_reader *reader, const struct conf_section *section,
			   const config_setting_t *setting)
{
	const char *nearest = nearest_name(section, config_setting_name(setting));

	if (nearest)
		conf_error(reader, conf_at(setting), "unknown; did you mean \"%s\"?", nearest);
	else
		conf_error(reader, conf_at(setting), "unknown");
}

static bool read_number(struct conf_reader *reader, const struct conf_option *option, const config_setting_t *setting,
			int64_t *out)
{
	const int type = config_setting_type(setting);
	const int64_t number = config_setting_get_int64(setting);
	char accepted[64];

	snprintf(accepted, sizeof accepted, "accepted: %" PRId64 "..%" PRId64 "%s%s", option->min, option->max,
		 option->unit ? " " : "", option->unit ? option->unit : "");
	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64)
		conf_error(reader, conf_at(setting), "not a whole number; %s", accepted);
	else if (number == INT64_MAX || number == INT64_MIN)
		conf_error(reader, conf_at(setting), "beyond 64 bits; %s", accepted);
	else if (number < option->min || number > option->max)
		conf_error(reader, conf_at(setting), "%" PRId64 " is out of range; %s", number, accepted);
	else {
		*out = number;
		return true;
	}
	return false;
}

static int index_of_word(const char *const *words, const char *word)
{
	for (int i = 0; words[i]; i++)
		if (strcmp(words[i], word) == 0)
			return i;
	return -1;
}

static bool read_text(struct conf_reader *reader, const config_setting_t *setting, const char **out)
{
	*out = conf_text_of(reader, setting);
	if (!*out)
		conf_error(reader, conf_at(setting), "not a text in quotes");
	return *out;
}

static bool read_word(struct conf_reader *reader, const struct conf_option *option, const config_setting_t *setting,
		      int64_t *out)
{
	char accepted[80] = "", quoted[CONF_QUOTE_OCTETS];
	const char *word;
	int index;

	if (!read_text(reader, setting, &word))
		return false;
	index = index_of_word(option->words, word);
	if (index >= 0) {
		*out = index;
		return true;
	}
	for (int i = 0; option->words[i]; i++)
		snprintf(accepted + strlen(accepted), sizeof accepted - strlen(accepted), "%s%s", i ? ", " : "",
			 option->words[i]);
	conf_error(reader, conf_at(setting), "%s is %s; accepted: %s", conf_quote(quoted, word),
		   index_of_word(option->later, word) >= 0 ? "not built yet" : "unknown", accepted);
	return false;
}

static bool read_shape(struct conf_reader *reader, enum conf_type wanted, const config_setting_t *setting)
{
	const int type = config_setting_type(setting);
	const bool fits = wanted == CONF_GROUP ? type == CONFIG_TYPE_GROUP
					       : type == CONFIG_TYPE_LIST || type == CONFIG_TYPE_ARRAY;

	if (!fits)
		conf_error(reader, conf_at(setting),
			   wanted == CONF_GROUP ? "not a group { ... }" : "not a list ( ... )");
	return fits;
}

static bool read_value(struct conf_reader *reader, const struct conf_option *option, const config_setting_t *setting,
		       struct conf_value *value)
{
	switch (option->type) {
	case CONF_NUMBER:
		return read_number(reader, option, setting, &value->number);
	case CONF_WORD:
		return read_word(reader, option, setting, &value->number);
	case CONF_TEXT:
		return read_text(reader, setting, &value->text);
	case CONF_GROUP:
	case CONF_LIST:
		return read_shape(reader, option->type, setting);
	case CONF_ANY:
		break;
	}
	return true;
}

void conf_read_section(struct conf_reader *reader, struct conf_place group, const struct conf_section *section,
		       struct conf_value *values)
{
	const int members = group.absent ? 0 : config_setting_length(group.setting);

	for (size_t i = 0; i < section->count; i++) {
		values[i] = (struct conf_value){ .place = group, .number = section->options[i].fallback };
		if (!group.absent)
			values[i].place.absent = section->options[i].name;
	}
	for (int m = 0; m < members; m++) {
		const config_setting_t *member = config_setting_get_elem(group.setting, (unsigned)m);
		size_t i = 0;
		while (i < section->count && strcmp(section->options[i].name, config_setting_name(member)) != 0)
			i++;
		if (i == section->count) {
			report_unknown(reader, section, member);
			continue;
		}
		values[i].place = conf_at(member);
		values[i].found = read_value(reader, &section->options[i], member, &values[i]) ? CONF_GOOD : CONF_WRONG;
	}
	for (size_t i = 0; i < section->count && !group.absent; i++)
		if (section->options[i].required && values[i].found == CONF_ABSENT)
			conf_error(reader, values[i].place, "missing");
}

bool conf_read_element(struct conf_reader *reader, const config_setting_t *list, int index, struct conf_place *out)
{
	*out = conf_at(config_setting_get_elem(list, (unsigned)index));
	return read_shape(reader, CONF_GROUP, out->setting);
}

size_t conf_read_count(struct conf_reader *reader, const struct conf_value *list, size_t max)
{
	const int length = list->found == CONF_GOOD ? config_setting_length(list->place.setting) : 0;

	if (list->found != CONF_GOOD)
		return 0;
	if (length >= 1 && (size_t)length <= max)
		return (size_t)length;
	conf_error(reader, list->place, "%d entries; accepted: 1..%zu", length, max);
	return 0;
}

char *conf_read_name(struct conf_reader *reader, const struct conf_value *value)
{
	static const char accepted[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	char quoted[CONF_QUOTE_OCTETS], *copy;
	const size_t len = value->text ? strlen(value->text) : 0;

	if (!value->text)
		return NULL;
	if (len == 0 || len > NAME_MAX_OCTETS || strspn(value->text, accepted) != len) {
		conf_error(reader, value->place, "%s is no name; accepted: 1..%d letters, digits, '.', '_', '-'",
			   conf_quote(quoted, value->text), NAME_MAX_OCTETS);
		return NULL;
	}
	copy = strdup(value->text);
	reader->no_memory |= !copy;
	return copy;
}

bool conf_read_addr(struct conf_reader *reader, const struct conf_value *value, struct addr *out)
{
	char quoted[CONF_QUOTE_OCTETS];
	const char *text = value->text;

	if (!text)
		return false;
	if (addr_parse(out, text) == 0)
		return true;
	*out = (struct addr){ 0 };
	/* A host name has a letter, and its port the only colon. An IPv6 address without brackets has more colons. */
	if (strchr(text, ':') == strrchr(text, ':') && strpbrk(text, "ghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ"))
		conf_error(reader, value->place, "%s: only backends may have host names; give an IP address",
			   conf_quote(quoted, text));
	else
		conf_error(reader, value->place, "%s is no address with port; accepted: A.B.C.D:PORT, [IPV6]:PORT",
			   conf_quote(quoted, text));
	return false;
}
