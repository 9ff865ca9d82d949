#include "conf/prefix.h"
#include "conf/read.h"

enum { V4_BITS_MIN = 8, V4_BITS_MAX = 30, V6_BITS_MIN = 8, V6_BITS_MAX = 112 };

/* `single`: it is an address without /BITS. */
static bool read_source(struct conf_reader *reader, const config_setting_t *setting, struct conf_prefix *out,
			bool *single)
{
	const struct conf_place place = conf_at(setting);
	const char *text = conf_text_of(reader, setting);
	char quoted[CONF_QUOTE_OCTETS], right[ADDR_TEXT_OCTETS], numbered[ADDR_TEXT_OCTETS];

	if (!text) {
		conf_error(reader, place, "not a text in quotes");
		return false;
	}
	conf_quote(quoted, text);
	if (!conf_address_text(reader, place, text, numbered))
		return false;
	*single = addr_parse_ip(&out->addr, numbered) == 0;
	if (*single) {
		out->bits = (uint8_t)prefix_family_bits(&out->addr);
		if (addr_is_unicast(&out->addr))
			return true;
		conf_error(reader, place, "%s is no source; accepted: an address of this host, or a prefix", quoted);
		return false;
	}
	if (prefix_parse(out, text) < 0) {
		conf_error(reader, place,
			   "%s is no source; accepted: A.B.C.D/BITS, IPV6/BITS, or an address of this host", quoted);
		return false;
	}
	const bool v4 = addr_is_v4(&out->addr);
	const unsigned min = v4 ? V4_BITS_MIN : V6_BITS_MIN, max = v4 ? V4_BITS_MAX : V6_BITS_MAX;
	if (out->bits < min || out->bits > max) {
		conf_error(reader, place, "%s: %u bits; accepted for IPv%d: %u..%u", quoted, out->bits, v4 ? 4 : 6, min,
			   max);
		return false;
	}
	const struct addr first = prefix_first(&out->addr, out->bits);
	if (addr_equal(&first, &out->addr))
		return true;
	conf_error(reader, place, "%s has host bits set; the prefix is %s/%u", quoted, addr_format(&first, right),
		   out->bits);
	return false;
}

/* Holds a source against those before it. */
static bool fits_in(struct conf_reader *reader, struct conf_place place, const struct conf_nat *nat, size_t i,
		    bool single)
{
	const struct conf_prefix *source = &nat->sources[i];

	if (i > 0 && single != nat->single) {
		conf_error(reader, place, "addresses and prefixes do not mix");
		return false;
	}
	for (size_t j = 0; j < i; j++) {
		if (single && addr_is_v4(&nat->sources[j].addr) == addr_is_v4(&source->addr)) {
			conf_error(reader, place, "a second IPv%d address; accepted: one of each family",
				   addr_is_v4(&source->addr) ? 4 : 6);
			return false;
		}
		if (prefix_contains(source, &nat->sources[j].addr) ||
		    prefix_contains(&nat->sources[j], &source->addr)) {
			conf_error(reader, place, "overlaps sources[%zu]", j);
			return false;
		}
	}
	return true;
}

bool conf_nat_sources_read(struct conf_reader *reader, const struct conf_value *list, struct conf_nat *nat)
{
	const size_t count = conf_read_count(reader, list, CONF_MAX_SOURCES);
	bool good = count > 0;

	for (size_t i = 0; i < count; i++) {
		const config_setting_t *setting = config_setting_get_elem(list->place.setting, (unsigned)i);
		bool single = false;
		if (!read_source(reader, setting, &nat->sources[i], &single)) {
			good = false;
			continue;
		}
		if (i == 0)
			nat->single = single;
		good = good && fits_in(reader, conf_at(setting), nat, i, single);
	}
	nat->source_count = count;
	return good;
}
