#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "tests/unit/suite.h"

/* One length; in a buffer of exact size, for the address sanitizer. */
START_TEST(little_endian_numbers)
{
	const size_t n = (size_t)_i;
	uint8_t *octets = malloc(n ? n : 1);
	unsigned __int128 expected = 0;

	for (size_t i = 0; i < n; i++) {
		octets[i] = (uint8_t)(0x81 + i);
		expected |= (unsigned __int128)octets[i] << 8 * i;
	}
	ck_assert(bytes_le128(octets, n) == expected);
	if (n <= 8)
		ck_assert_uint_eq(bytes_le64(octets, n), (uint64_t)expected);
	if (n == 4)
		ck_assert_uint_eq(bytes_le32(octets), (uint32_t)expected);
	free(octets);
}
END_TEST

START_TEST(takes_what_is_there)
{
	static const uint8_t octets[] = { 1, 2, 3 };
	struct bytes in = { octets, sizeof octets };

	ck_assert_ptr_null(bytes_take(&in, 4));
	ck_assert_ptr_eq(bytes_take(&in, 2), octets);
	ck_assert_ptr_null(bytes_take(&in, 2));
	ck_assert_ptr_eq(bytes_take(&in, 1), octets + 2);
	ck_assert_uint_eq(in.left, 0);
	ck_assert_ptr_eq(bytes_take(&in, 0), octets + 3);
	ck_assert_uint_eq(bytes_u16(octets), 0x0102);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, little_endian_numbers, 0, 17);
	tcase_add_test(tests, takes_what_is_there);
}
