#include "admin/metrics_text.h"

#include <stdio.h>

void metrics_head(struct evbuffer *out, const char *name, const char *type, const char *help)
{
	evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Writes a label value. Backslash, quote and newline are escaped. Other control characters have no escape. */
static void write_value(struct evbuffer *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\' || *text == '"')
			evbuffer_add_printf(out, "\\%c", *text);
		else if (*text == '\n')
			evbuffer_add(out, "\\n", 2);
		else
			evbuffer_add(out, text, 1);
	}
}

static void write_labels(struct evbuffer *out, const char *name, const struct metrics_label *labels, size_t count)
{
	evbuffer_add_printf(out, "%s", name);
	for (size_t i = 0; i < count; i++) {
		evbuffer_add_printf(out, "%c%s=\"", i == 0 ? '{' : ',', labels[i].name);
		write_value(out, labels[i].value);
		evbuffer_add(out, "\"", 1);
	}
	if (count > 0)
		evbuffer_add(out, "}", 1);
}

void metrics_sample(struct evbuffer *out, const char *name, uint64_t value, const struct metrics_label *labels,
		    size_t count)
{
	write_labels(out, name, labels, count);
	evbuffer_add_printf(out, " %llu\n", (unsigned long long)value);
}

void metrics_sample_us(struct evbuffer *out, const char *name, uint64_t us, const struct metrics_label *labels,
		       size_t count)
{
	write_labels(out, name, labels, count);
	evbuffer_add_printf(out, " %llu.%06llu\n", (unsigned long long)(us / 1000000),
			    (unsigned long long)(us % 1000000));
}

void metrics_single(struct evbuffer *out, const char *name, const char *type, const char *help, uint64_t value)
{
	metrics_head(out, name, type, help);
	metrics_sample(out, name, value, NULL, 0);
}

enum { NAME_OCTETS = 128 };

static const char *with_suffix(char out[static NAME_OCTETS], const char *name, const char *suffix)
{
	snprintf(out, NAME_OCTETS, "%s%s", name, suffix);
	return out;
}

void metrics_histogram(struct evbuffer *out, const struct metrics_histogram *histogram,
		       const struct metrics_label *label)
{
	struct metrics_label labels[2] = { { "le", "" } };
	const size_t count = label ? 2 : 1;
	char name[NAME_OCTETS];
	uint64_t below = 0;

	if (label)
		labels[0] = *label;
	with_suffix(name, histogram->name, "_bucket");
	for (size_t i = 0; i <= histogram->bound_count; i++) {
		below += histogram->counts[i];
		labels[count - 1] =
			(struct metrics_label){ "le", i < histogram->bound_count ? histogram->bounds[i] : "+Inf" };
		metrics_sample(out, name, below, labels, count);
	}
	with_suffix(name, histogram->name, "_sum");
	if (histogram->sum_us)
		metrics_sample_us(out, name, histogram->sum, labels, count - 1);
	else
		metrics_sample(out, name, histogram->sum, labels, count - 1);
	metrics_sample(out, with_suffix(name, histogram->name, "_count"), below, labels, count - 1);
}
