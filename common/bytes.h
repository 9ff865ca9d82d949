/* A bounded reader: what decoders read a datagram through. Nothing is read that bytes_take() did not hand out. */
#ifndef CIDLB_BYTES_H
#define CIDLB_BYTES_H

#include <stddef.h>
#include <stdint.h>

struct bytes {
	const uint8_t *at; /* the next octet, in memory of the caller */
	size_t left;       /* octets from there */
};

/* The next `n` octets, which are then behind the reader. NULL: fewer are left; the reader stays where it is. */
static inline const uint8_t *bytes_take(struct bytes *in, size_t n)
{
	const uint8_t *taken = in->at;

	if (n > in->left)
		return NULL;
	in->at += n;
	in->left -= n;
	return taken;
}

/* Network order, from octets that were taken. */
static inline uint16_t bytes_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

#endif
