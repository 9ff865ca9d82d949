/* Literal octets for the suites. */
#ifndef CIDLB_TESTS_OCTETS_H
#define CIDLB_TESTS_OCTETS_H

#include <check.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))

struct octets {
	uint8_t *at; /* owned; exactly `len` octets, so that AddressSanitizer sees any read behind them */
	size_t len;
};

static inline struct octets octets_copy(const uint8_t *from, size_t len)
{
	struct octets out = { malloc(len), len };

	ck_assert(out.at || len == 0);
	if (len > 0)
		memcpy(out.at, from, len);
	return out;
}

/* Reads hex; blanks separate as one likes. */
static inline struct octets octets_of(const char *hex)
{
	uint8_t found[2048];
	size_t digits = 0;

	for (; *hex; hex++) {
		static const char all[] = "0123456789abcdef";
		const char *digit = strchr(all, *hex);

		if (*hex == ' ')
			continue;
		ck_assert_msg(digit && digits / 2 < sizeof found, "not hex: %s", hex);
		found[digits / 2] = (uint8_t)((digits % 2 ? found[digits / 2] << 4 : 0) | (digit - all));
		digits++;
	}
	ck_assert(digits % 2 == 0);
	return octets_copy(found, digits / 2);
}

#endif
