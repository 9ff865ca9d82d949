#include "bench/lib/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hex.h"

static const char help[] = "--help says what there is";

int option_left_over(const char *argument)
{
	fprintf(stderr, "%s: not an option; %s\n", argument, help);
	return -EINVAL;
}

int option_missing(const char *option)
{
	fprintf(stderr, "--%s is missing; %s\n", option, help);
	return -EINVAL;
}

int option_refuse(const char *sentence)
{
	fprintf(stderr, "%s; %s\n", sentence, help);
	return -EINVAL;
}

int option_number(uint64_t *out, const char *option, const char *text, uint64_t min, uint64_t max)
{
	char *end;
	errno = 0;
	uint64_t value = strtoull(text, &end, 10);
	/* strtoull() would take "-1" and " 1". */
	if (!isdigit((unsigned char)*text) || *end || errno || value < min || value > max) {
		fprintf(stderr, "--%s: %s; accepted: %llu..%llu\n", option, text, (unsigned long long)min,
			(unsigned long long)max);
		return -EINVAL;
	}
	*out = value;
	return 0;
}

int option_number32(uint32_t *out, const char *option, const char *text, uint32_t min, uint32_t max)
{
	uint64_t value;
	int err = option_number(&value, option, text, min, max);
	if (!err)
		*out = (uint32_t)value;
	return err;
}

int option_decimal(double *out, const char *option, const char *text, double min, double max)
{
	char *end;
	double value = strtod(text, &end);
	/* Also refuses NaN, which compares false with everything. */
	if (end == text || *end || !(value >= min && value <= max)) {
		fprintf(stderr, "--%s: %s; accepted: %g..%g\n", option, text, min, max);
		return -EINVAL;
	}
	*out = value;
	return 0;
}

int option_seconds(uint64_t *out_ms, const char *option, const char *text)
{
	double seconds;
	int err = option_decimal(&seconds, option, text, 0.001, 1e7);
	if (!err)
		*out_ms = (uint64_t)(seconds * 1000 + 0.5);
	return err;
}

int option_addr(struct addr *out, const char *option, const char *text)
{
	int err = addr_parse(out, text);
	if (err)
		fprintf(stderr, "--%s: %s; accepted: A.B.C.D:PORT or [V6]:PORT\n", option, text);
	return err;
}

int option_hex(uint8_t *out, size_t size, size_t *len, const char *text)
{
	const size_t digits = strlen(text);

	if (!digits || hex_read(out, size, text, digits) < 0)
		return -EINVAL;
	*len = digits / 2;
	return 0;
}
