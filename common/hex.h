/* Octets as hex digits. Pure. All of it is here, because the installed libraries must not export names like these. */
#ifndef CIDLB_HEX_H
#define CIDLB_HEX_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

/* Characters of so many octets, with the final NUL. */
#define HEX_TEXT_OCTETS(octets) (2 * (octets) + 1)

/* The value of a digit in either case; -1: it is none. */
static inline int hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 'a' - 'A';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* How many digits `text` begins with. */
static inline size_t hex_span(const char *text)
{
	size_t digits = 0;

	while (hex_digit(text[digits]) >= 0)
		digits++;
	return digits;
}

/* Reads digits / 2 octets, at most `size`. -EINVAL: an odd number of digits, or something that is no digit. -ENOBUFS:
 * more than `size`. `out` is not to be used then. */
static inline int hex_read(uint8_t *out, size_t size, const char *text, size_t digits)
{
	if (digits % 2)
		return -EINVAL;
	if (digits / 2 > size)
		return -ENOBUFS;
	for (size_t i = 0; i < digits; i += 2) {
		const int high = hex_digit(text[i]), low = high < 0 ? high : hex_digit(text[i + 1]);

		if (low < 0)
			return -EINVAL;
		out[i / 2] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

/* Writes small letters and a NUL, and returns `out`. Where `size` is less than HEX_TEXT_OCTETS(len) the text is "": a
 * part would look like other octets. `size`: >= 1. */
static inline const char *hex_write(char *out, size_t size, const uint8_t *octets, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	char *at = out;

	for (size_t i = 0; size >= HEX_TEXT_OCTETS(len) && i < len; i++) {
		*at++ = digits[octets[i] >> 4];
		*at++ = digits[octets[i] & 15];
	}
	*at = '\0';
	return out;
}

#endif
