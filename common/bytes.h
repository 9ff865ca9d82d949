/* A bounded reader. Decoders read datagrams through it, and read only octets that bytes_take() has handed out. */
#ifndef CIDLB_BYTES_H
#define CIDLB_BYTES_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *at; /* the next octet, in memory of the caller */
	size_t left;       /* octets from there */
};

/* Takes the next `n` octets; the reader then stands behind them. NULL: fewer are left, and the reader stays where it
 * is. */
static inline const uint8_t *bytes_take(struct bytes *in, size_t n)
{
	const uint8_t *taken = in->at;

	if (n > in->left)
		return NULL;
	in->at += n;
	in->left -= n;
	return taken;
}

/* A number in network order, from octets already taken. */
static inline uint16_t bytes_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t bytes_u24(const uint8_t *at)
{
	return (uint32_t)at[0] << 16 | bytes_u16(at + 1);
}

static inline uint32_t bytes_le32(const uint8_t *at)
{
	uint32_t word;

	memcpy(&word, at, sizeof word);
	return le32toh(word);
}

/* The `n` (0..8) octets at `at`, and no others, as a little-endian number. With a variable length memcpy() would be a
 * call, and it would be slow to read as one word what it wrote in parts. Overlapping loads avoid both. */
static inline uint64_t bytes_le64(const uint8_t *at, size_t n)
{
	if (n >= 4)
		return bytes_le32(at) | (uint64_t)bytes_le32(at + n - 4) << 8 * (n - 4);
	if (n == 0)
		return 0;
	return at[0] | (uint64_t)at[n / 2] << 8 * (n / 2) | (uint64_t)at[n - 1] << 8 * (n - 1);
}

/* The same for 0..16 octets. */
static inline unsigned __int128 bytes_le128(const uint8_t *at, size_t n)
{
	return n <= 8 ? bytes_le64(at, n) : bytes_le64(at, 8) | (unsigned __int128)bytes_le64(at + 8, n - 8) << 64;
}

#endif
