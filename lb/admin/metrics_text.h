/* Prometheus text (format 0.0.4), family by family. A family has its head, then all its samples. Control thread.
 *
 * What cannot be added for want of memory is left out.
 */
#ifndef CIDLB_ADMIN_METRICS_TEXT_H
#define CIDLB_ADMIN_METRICS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/buffer.h>

struct metrics_label {
	const char *name, *value;
};

void metrics_head(struct evbuffer *out, const char *name, const char *type, const char *help);

void metrics_sample(struct evbuffer *out, const char *name, uint64_t value, const struct metrics_label *labels,
		    size_t count);

/* With a value in seconds, given in microseconds. */
void metrics_sample_us(struct evbuffer *out, const char *name, uint64_t us, const struct metrics_label *labels,
		       size_t count);

/* A family of one sample without labels. */
void metrics_single(struct evbuffer *out, const char *name, const char *type, const char *help, uint64_t value);

/* The samples of one histogram. `bounds`: the upper ones, as text. `counts`: one by bound, each without those below,
 * and one more for what is above them all. Its sum is in microseconds if `sum_us`, else as it is. */
struct metrics_histogram {
	const char *name;
	const char *const *bounds;
	size_t bound_count;
	const uint64_t *counts;
	uint64_t sum;
	bool sum_us;
};
void metrics_histogram(struct evbuffer *out, const struct metrics_histogram *histogram,
		       const struct metrics_label *label);

#define METRICS_LABELS(...)                                                                                            \
	(const struct metrics_label[]){ __VA_ARGS__ },                                                                 \
		sizeof((const struct metrics_label[]){ __VA_ARGS__ }) / sizeof(struct metrics_label)
#define METRICS_SAMPLE(out, name, value, ...) metrics_sample(out, name, value, METRICS_LABELS(__VA_ARGS__))

#endif
