#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/spelling.h"
#include "conf/read.h"

enum { NAME_MAX_OCTETS = 63, ACCEPTED_OCTETS = 256 };

/* `interval` for interval_ms. */
static bool is_stem(const char *name, const char *of)
{
	const size_t len = strlen(name);

	return strncmp(name, of, len) == 0 && of[len] == '_';
}

/* The option that `name` may have meant: one without its unit, or one typing error away, two if the name is long enough
 * for that to say something. */
static const char *nearest_name(const struct conf_section *section, const char *name)
{
	size_t best = strlen(name) < 4 ? 2 : 3;
	const char *nearest = NULL;

	for (size_t i = 0; i < section->count; i++) {
		const size_t distance =
			is_stem(name, section->options[i].name) ? 0 : spelling_distance(name, section->options[i].name);
		if (!section->options[i].gone && distance < best) {
			best = distance;
			nearest = section->options[i].name;
		}
	}
	return nearest;
}

/* The group that alone has an option of that name, or NULL. */
static const char *home_of(const char *name)
{
	static const struct conf_section *const sections[] = {
		&conf_section_root,   &conf_section_admin,      &conf_section_pool,       &conf_section_cid,
		&conf_section_nat,    &conf_section_tunnel,     &conf_section_tunnel_key, &conf_section_cid_config,
		&conf_section_health, &conf_section_hello_rate, &conf_section_redis,      &conf_section_dsr,
	};
	const struct conf_section *home = NULL;

	for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
		for (size_t j = 0; j < sections[i]->count; j++)
			if (strcmp(sections[i]->options[j].name, name) == 0) {
				if (home)
					return NULL;
				home = sections[i];
			}
	return !home ? NULL : *home->path ? home->path : "the file itself";
}

static void add_word(char list[static ACCEPTED_OCTETS], const char *word)
{
	const size_t len = strlen(list);

	snprintf(list + len, ACCEPTED_OCTETS - len, "%s%s", len ? ", " : "", word);
}

/* Writes what an option accepts. "": texts, groups and lists, which say so themselves. */
static void write_accepted(char out[static ACCEPTED_OCTETS], const struct conf_option *option)
{
	*out = '\0';
	if (option->type == CONF_NUMBER)
		snprintf(out, ACCEPTED_OCTETS, "%" PRId64 "..%" PRId64 "%s%s", option->min, option->max,
			 option->unit ? " " : "", option->unit ? option->unit : "");
	for (int i = 0; option->type == CONF_WORD && option->words[i]; i++)
		add_word(out, option->words[i]);
}

static void report_unknown(struct conf_reader *reader, const struct conf_section *section,
			   const config_setting_t *setting)
{
	const char *nearest = nearest_name(section, config_setting_name(setting));

	const char *home = home_of(config_setting_name(setting));
	char accepted[ACCEPTED_OCTETS] = "";

	if (nearest)
		conf_error(reader, conf_at(setting), "unknown; did you mean \"%s\"?", nearest);
	else if (home)
		conf_error(reader, conf_at(setting), "unknown here; accepted in %s", home);
	else {
		for (size_t i = 0; i < section->count; i++)
			if (!section->options[i].gone)
				add_word(accepted, section->options[i].name);
		conf_error(reader, conf_at(setting), "unknown; accepted: %s", accepted);
	}
}

static bool read_number(struct conf_reader *reader, const struct conf_option *option, const config_setting_t *setting,
			int64_t *out)
{
	const int type = config_setting_type(setting);
	const int64_t number = config_setting_get_int64(setting);
	char accepted[ACCEPTED_OCTETS];

	write_accepted(accepted, option);
	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64)
		conf_error(reader, conf_at(setting), "not a whole number; accepted: %s", accepted);
	else if (number == INT64_MAX || number == INT64_MIN)
		conf_error(reader, conf_at(setting), "beyond 64 bits; accepted: %s", accepted);
	else if (number < option->min || number > option->max)
		conf_error(reader, conf_at(setting), "%" PRId64 " is out of range; accepted: %s", number, accepted);
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
	char accepted[ACCEPTED_OCTETS], quoted[CONF_QUOTE_OCTETS];
	const char *word = conf_text_of(reader, setting);
	int index;

	write_accepted(accepted, option);
	if (!word) {
		conf_error(reader, conf_at(setting), "not a text in quotes; accepted: %s", accepted);
		return false;
	}
	index = index_of_word(option->words, word);
	if (index >= 0) {
		*out = index;
		return true;
	}
	conf_error(reader, conf_at(setting), "%s is %s; accepted: %s", conf_quote(quoted, word),
		   index_of_word(option->later, word) >= 0 ? "not built yet" : "unknown", accepted);
	return false;
}

static bool read_bool(struct conf_reader *reader, const config_setting_t *setting, int64_t *out)
{
	if (config_setting_type(setting) != CONFIG_TYPE_BOOL) {
		conf_error(reader, conf_at(setting), "not true or false");
		return false;
	}
	*out = config_setting_get_bool(setting);
	return true;
}

static bool read_shape(struct conf_reader *reader, enum conf_type wanted, const config_setting_t *setting)
{
	const int type = config_setting_type(setting);
	const bool fits = wanted == CONF_GROUP ? type == CONFIG_TYPE_GROUP
					       : type == CONFIG_TYPE_LIST || type == CONFIG_TYPE_ARRAY;

	if (!fits)
		conf_error(reader, conf_at(setting),
			   wanted == CONF_GROUP ? "not a group { ... }" : "not a list ( ... ) or [ ... ]");
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
	case CONF_BOOL:
		return read_bool(reader, setting, &value->number);
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

static void report_missing(struct conf_reader *reader, const struct conf_option *option, struct conf_place place)
{
	char accepted[ACCEPTED_OCTETS];

	write_accepted(accepted, option);
	conf_error(reader, place, *accepted ? "missing; accepted: %s" : "missing%s", accepted);
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
		if (section->options[i].gone) {
			conf_warn(reader, conf_at(member), "does nothing any more: %s", section->options[i].gone);
			continue;
		}
		values[i].place = conf_at(member);
		values[i].found = read_value(reader, &section->options[i], member, &values[i]) ? CONF_GOOD : CONF_WRONG;
	}
	for (size_t i = 0; i < section->count && !group.absent; i++)
		if (section->options[i].required && values[i].found == CONF_ABSENT)
			report_missing(reader, &section->options[i], values[i].place);
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

static bool is_port(const char *text)
{
	const size_t len = strlen(text);

	return len > 0 && len <= 5 && strspn(text, "0123456789") == len && *text != '0' && atoi(text) <= UINT16_MAX;
}

bool conf_addr_report(struct conf_reader *reader, struct conf_place place, const char *text)
{
	const char *first = strchr(text, ':'), *last = strrchr(text, ':'), *why = NULL;
	char quoted[CONF_QUOTE_OCTETS];
	struct addr addr;

	if (first != last && strspn(text, "0123456789abcdefABCDEF:.") == strlen(text))
		why = "an IPv6 address stands in brackets; accepted: [IPV6]:PORT";
	else if (addr_parse_ip(&addr, text) == 0 || (*text == '[' && text[strlen(text) - 1] == ']'))
		why = "the port is missing; accepted: A.B.C.D:PORT, [IPV6]:PORT";
	else if (last && last[1] && strspn(last + 1, "0123456789") == strlen(last + 1) && !is_port(last + 1))
		why = "its port is out of range; accepted: 1..65535";
	if (why)
		conf_error(reader, place, "%s: %s", conf_quote(quoted, text), why);
	return why;
}

bool conf_read_own_addr(struct conf_reader *reader, const struct conf_value *value, struct addr *out)
{
	char quoted[CONF_QUOTE_OCTETS];

	if (!conf_read_addr(reader, value, out))
		return false;
	if (addr_is_unicast(out) || addr_is_wildcard(out))
		return true;
	conf_error(reader, value->place,
		   "%s is a multicast or broadcast address, from which nobody can be answered; accepted: one of this "
		   "host",
		   conf_quote(quoted, value->text));
	*out = (struct addr){ 0 };
	return false;
}

bool conf_read_addr(struct conf_reader *reader, const struct conf_value *value, struct addr *out)
{
	char quoted[CONF_QUOTE_OCTETS], numbered[ADDR_TEXT_OCTETS];
	const char *text = value->text;

	if (!text)
		return false;
	*out = (struct addr){ 0 };
	if (!conf_address_text(reader, value->place, text, numbered))
		return false;
	if (addr_parse(out, numbered) == 0)
		return true;
	*out = (struct addr){ 0 };
	if (conf_addr_report(reader, value->place, text))
		return false;
	/* A host name has a letter, and its port the only colon. An IPv6 address without brackets has more colons. */
	if (strchr(text, ':') == strrchr(text, ':') && strpbrk(text, "ghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ"))
		conf_error(reader, value->place, "%s: only backends may have host names; give an IP address",
			   conf_quote(quoted, text));
	else
		conf_error(reader, value->place, "%s is no address with port; accepted: A.B.C.D:PORT, [IPV6]:PORT",
			   conf_quote(quoted, text));
	return false;
}
