/* Octets as hex digits. Pure. */
#ifndef CIDLB_HEX_H
#define CIDLB_HEX_H

#include <stddef.h>
#include <stdint.h>

/* Characters of so many octets, with the final NUL. */
#define HEX_TEXT_OCTETS(octets) (2 * (octets) + 1)

/* The value of a digit in either case; -1: it is none. */
int hex_digit(int c);

/* How many digits `text` begins with. */
size_t hex_span(const char *text);

/* Reads digits / 2 octets, at most `size`. -EINVAL: an odd number of digits, or something that is no digit. -ENOBUFS:
 * more than `size`. `out` is not to be used then. */
int hex_read(uint8_t *out, size_t size, const char *text, size_t digits);

/* Writes small letters and a NUL, and returns `out`. Where `size` is less than HEX_TEXT_OCTETS(len) the text is "": a
 * part would look like other octets. `size`: >= 1. */
const char *hex_write(char *out, size_t size, const uint8_t *octets, size_t len);

#endif
