/* What somebody may have meant who wrote a word that is none. Pure. */
#ifndef CIDLB_BASE_SPELLING_H
#define CIDLB_BASE_SPELLING_H

#include <stddef.h>

/* How many letters are to be put in, left out, changed, or swapped with their neighbour to make one word of the other.
 * Words of up to SPELLING_OCTETS octets; longer ones are as far apart as that. */
enum { SPELLING_OCTETS = 24 };
size_t spelling_distance(const char *a, const char *b);

#endif
