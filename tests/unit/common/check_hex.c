#include <errno.h>

#include "common/hex.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

/* All that a char can be, as it is and as an unsigned one; EOF, too. */
START_TEST(digits)
{
	for (int c = -128; c < 256; c++) {
		const int value = c >= '0' && c <= '9'   ? c - '0'
				  : c >= 'a' && c <= 'f' ? c - 'a' + 10
				  : c >= 'A' && c <= 'F' ? c - 'A' + 10
							 : -1;

		ck_assert_int_eq(hex_digit(c), value);
	}
}
END_TEST

START_TEST(spans)
{
	ck_assert_uint_eq(hex_span(""), 0);
	ck_assert_uint_eq(hex_span("g0"), 0);
	ck_assert_uint_eq(hex_span("0"), 1);
	ck_assert_uint_eq(hex_span("09afAF/"), 6);
	ck_assert_uint_eq(hex_span("0123456789abcdefABCDEF:"), 22);
	ck_assert_uint_eq(hex_span("00\n"), 2);
}
END_TEST

static const struct {
	const char *text;
	size_t digits, size;
	int err;
	const char *octets;
} reads[] = {
	{ "", 0, 0, 0, "" },
	{ "00", 2, 1, 0, "00" },
	{ "fF", 2, 1, 0, "ff" },
	{ "0aA0f0", 6, 3, 0, "0a a0 f0" },
	{ "0aA0f0", 6, 4, 0, "0a a0 f0" },
	/* what follows is not read */
	{ "ed793a\n", 6, 3, 0, "ed 79 3a" },
	{ "ed79xx", 4, 2, 0, "ed 79" },
	/* too much */
	{ "00", 2, 0, -ENOBUFS, NULL },
	{ "001122", 6, 2, -ENOBUFS, NULL },
	/* half an octet, whatever the room */
	{ "0", 1, 1, -EINVAL, NULL },
	{ "001", 3, 8, -EINVAL, NULL },
	{ "001", 3, 1, -EINVAL, NULL },
	/* no digit */
	{ "0g", 2, 1, -EINVAL, NULL },
	{ "g0", 2, 1, -EINVAL, NULL },
	{ " 0", 2, 1, -EINVAL, NULL },
	{ "0x", 2, 1, -EINVAL, NULL },
	{ "00-1", 4, 2, -EINVAL, NULL },
	/* a text that ends early */
	{ "00", 4, 2, -EINVAL, NULL },
	{ "0", 2, 1, -EINVAL, NULL },
};

START_TEST(reading)
{
	uint8_t *out = malloc(reads[_i].size + 1);

	out[reads[_i].size] = 0xa5;
	ck_assert_int_eq(hex_read(out, reads[_i].size, reads[_i].text, reads[_i].digits), reads[_i].err);
	ck_assert_uint_eq(out[reads[_i].size], 0xa5);
	if (reads[_i].octets) {
		const struct octets expected = octets_of(reads[_i].octets);

		ck_assert_uint_eq(expected.len, reads[_i].digits / 2);
		ck_assert_mem_eq(out, expected.at, expected.len);
		free(expected.at);
	}
	free(out);
}
END_TEST

static const struct {
	const char *octets;
	size_t size;
	const char *text;
} writes[] = {
	{ "", 1, "" },
	{ "", 9, "" },
	{ "00", 3, "00" },
	{ "0f f0 ff", 7, "0ff0ff" },
	{ "ed 79 3a", 64, "ed793a" },
	/* no room: nothing of it */
	{ "00", 2, "" },
	{ "00", 1, "" },
	{ "0f f0 ff", 6, "" },
};

START_TEST(writing)
{
	const struct octets octets = octets_of(writes[_i].octets);
	char *out = malloc(writes[_i].size);

	ck_assert_ptr_eq(hex_write(out, writes[_i].size, octets.at, octets.len), out);
	ck_assert_str_eq(out, writes[_i].text);
	free(out);
	free(octets.at);
}
END_TEST

START_TEST(there_and_back)
{
	uint8_t octets[256], again[256];
	char text[HEX_TEXT_OCTETS(256)];

	for (size_t i = 0; i < sizeof octets; i++)
		octets[i] = (uint8_t)i;
	hex_write(text, sizeof text, octets, sizeof octets);
	ck_assert_uint_eq(hex_span(text), 2 * sizeof octets);
	ck_assert_int_eq(hex_read(again, sizeof again, text, strlen(text)), 0);
	ck_assert_mem_eq(again, octets, sizeof octets);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, digits);
	tcase_add_test(tests, spans);
	tcase_add_loop_test(tests, reading, 0, COUNT_OF(reads));
	tcase_add_loop_test(tests, writing, 0, COUNT_OF(writes));
	tcase_add_test(tests, there_and_back);
}
